"""Work on many videos, one after the other or in several processes: their list, their files, and what is done."""
