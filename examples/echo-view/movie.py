"""Movies in and out: MP4 and AVI with OpenCV, cine loops in DICOM with pydicom. Frames are 240 x 320 grey values."""

from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 240, 320
MOST_FRAMES = 20_000  # of one movie; 1.5 GB
# What the wheel of opencv-python-headless writes and reads without libraries of the system: MPEG-4 part 2, and JPEG by JPEG.
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


class MovieError(Exception):
    """The file is no movie that we can read, and why."""


def read_movie(path):
    """All frames, as uint8 of shape (frames, 240, 320)."""
    path = Path(path)
    if not path.is_file():
        raise MovieError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise MovieError(f"{path}: the file is empty")
    frames = read_dicom(path) if is_dicom(path) else read_video(path)
    if len(frames) == 0:
        raise MovieError(f"{path}: no frame could be decoded")
    return np.stack([fit(frame) for frame in frames])


def is_dicom(path):
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_video(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise MovieError(f"{path}: neither DICOM nor a movie that OpenCV can open")
        frames = []
        while True:
            ok, frame = capture.read()
            if not ok:
                return frames
            if len(frames) == MOST_FRAMES:
                raise MovieError(f"{path}: more than {MOST_FRAMES} frames")
            # Fitted here, so that a large movie is not held in full size.
            frames.append(fit(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame))
    finally:
        capture.release()


def read_dicom(path):
    """The frames' luminance. Colour is stored as luminance and two differences, or as red, green and blue."""
    import pydicom  # here, since most movies need neither it nor the time that it takes
    from pydicom.pixels import pixel_array

    try:
        data = pydicom.dcmread(path)
        pixels = pixel_array(data, raw=True)
    except Exception as error:  # pydicom raises whatever its decoders raise
        raise MovieError(f"{path}: DICOM that cannot be decoded: {error}") from error
    colours = int(data.get("SamplesPerPixel", 1))
    if pixels.ndim == (2 if colours == 1 else 3):
        pixels = pixels[np.newaxis]
    if colours == 3:
        if data.PhotometricInterpretation.startswith("YBR"):
            pixels = pixels[..., 0]
        else:
            pixels = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    if pixels.dtype != np.uint8:
        low, high = float(pixels.min()), float(pixels.max())
        most = 255.0 if colours == 3 else max(high - low, 1.0)
        pixels = np.rint((pixels - (0.0 if colours == 3 else low)) * (255 / most)).astype(np.uint8)
    return pixels


def fit(frame):
    """Scales a frame into 240 x 320 and fills up with black; its proportions stay."""
    height, width = frame.shape
    if (height, width) == (HEIGHT, WIDTH):
        return frame
    scale = min(HEIGHT / height, WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    whole = np.zeros((HEIGHT, WIDTH), np.uint8)
    top, left = (HEIGHT - size[1]) // 2, (WIDTH - size[0]) // 2
    whole[top : top + size[1], left : left + size[0]] = small
    return whole


def write_movie(path, frames, fps):
    """Writes uint8 frames; the name's ending chooses container and codec."""
    path = Path(path)
    codec = CODECS.get(path.suffix.lower())
    if codec is None:
        raise MovieError(f"{path}: the name must end in {' or '.join(CODECS)}")
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), fps, (WIDTH, HEIGHT), [cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    )
    if not writer.isOpened():
        raise MovieError(f"{path}: OpenCV cannot write {codec} here")
    for frame in frames:
        writer.write(frame)
    writer.release()
