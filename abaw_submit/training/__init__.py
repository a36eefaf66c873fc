"""Folds, loop, checkpoints; pretrain, finetune, tmf."""
