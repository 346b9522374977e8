"""The methods, one a file: forward, loss terms, and how a video is read for detection."""
