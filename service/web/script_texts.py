"""The texts that scripts show; the page hands them over in its language. A test compares them with web/src."""

from service.web.translation import marked, marked_plural

SCRIPT_TEXTS = (
    marked("● live"),
    marked("○ database away, trying again"),
    marked("axial"),
    marked("coronal"),
    marked("sagittal"),
    marked("%(count)s marked"),
    marked("Show %(name)s"),
    marked("%(volume)s cc"),
    marked("empty in the file"),
    marked("touches the edge: %(edges)s"),
    marked("No contours: %(reason)s"),
    marked("Images: %(share)s %%"),
    marked("the node answered %(status)s"),
)
SCRIPT_PLURALS = dict([marked_plural("%(count)s job", "%(count)s jobs")])
