"""``python -m sockudo_publisher.cli``: the command where its script is not on PATH."""

from . import main

main(prog_name="sockudo-publisher")
