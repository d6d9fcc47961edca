"""From video files to features: decoding, units, backbones, jobs."""
