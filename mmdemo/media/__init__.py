"""Any file to arrays, with limits: pictures, sound, video, subtitles."""
