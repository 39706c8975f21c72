"""The small package behind the notebooks of "Mobile deployment of deep learning models"."""
