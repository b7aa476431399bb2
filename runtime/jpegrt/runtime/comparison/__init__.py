"""Two versions of an image beside each other: measured, and as a page to look at."""

from jpegrt.runtime.comparison.comparison import Comparison, compare
from jpegrt.runtime.comparison.measures import Measures
from jpegrt.runtime.comparison.pictures import MOST_PIXELS, Picture

__all__ = ["MOST_PIXELS", "Comparison", "Measures", "Picture", "compare"]
