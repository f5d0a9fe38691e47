"""Small events that ask whether the server still remembers message ids.

``schedule`` says when they are planted and asked for, ``verdict`` what the answers mean (both pure); ``store`` keeps
them in Redis; ``ask`` sends them. ``values`` has the values that all of them use.
"""
