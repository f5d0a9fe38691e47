"""Small events that measure whether the server still remembers message ids.

``schedule`` decides when canaries are published and repeated, ``verdict`` what the answers mean (both pure); ``store``
keeps them in Redis; ``ask`` sends them; ``values`` defines the values that these modules share.
"""
