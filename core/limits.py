"""What files and pages of strangers may become in memory, and how slow a server may be: every bound, with its reason.

Each is far above what real ones need. The error that meets one names it with its number.
"""

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

LINE_BYTES = 1 * MB  # of a text file: a caption has some thousand characters
ROW_BYTES = 4 * MB  # of a CSV, whose cells may hold line breaks
TABLE_BYTES = 1 * GB  # a CSV that is read row by row; ten million scores have 900 MB
LIST_BYTES = 64 * MB  # a table or list that is kept in memory: a million links or decisions
JSON_BYTES = 512 * MB  # annotations or detections; ActivityNet's have 30 MB, a detector's on it up to 200
SIDECAR_BYTES = 16 * MB  # what a downloader wrote beside one clip, unpacked; a video's has up to 1 MB
PAGE_BYTES = 32 * MB  # a web page or an API's answer, unpacked; the largest watch pages have 3 MB
SECRET_BYTES = 1 * MB  # a file of keys or cookies

MANIFEST_ROWS = 50_000_000  # 8 bytes each
MANIFEST_TAGS = 100_000  # a dictionary entry each

ARRAY_BYTES = 1 * GB  # the arrays of one video: 23 hours at stride 16, in two float32 streams of width 1024
ARRAY_HEADER = 64 * KB  # of a .npy file; real ones have 128 bytes
ARCHIVE_INDEX = 1 * MB  # the list of an .npz file's members; a member takes about 60 bytes

LEAST_SPEED = 1024  # bytes a second that a server must send, over a window that it was waited for
SPEED_WINDOW = 60.0  # seconds of waiting
