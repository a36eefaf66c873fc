"""MAE, encoder loading, VGGish, TMF, losses."""
