"""Files from outside, whoever sends them: claimed, registered once, moved, answered by receipt."""
