"""The main job: a folder of photos in, a finished and measured bundle out."""
