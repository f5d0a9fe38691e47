"""A Django project as users have one; its tests run in processes of their own (test_project.py)."""
