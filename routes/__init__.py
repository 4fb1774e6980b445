"""The REST API and the pages: a blueprint per family. They translate and nothing else."""
