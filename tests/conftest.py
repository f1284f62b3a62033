"""Property tests have no deadline: a busy machine is not a defect."""

from hypothesis import settings

settings.register_profile("countermark", deadline=None)
settings.load_profile("countermark")
