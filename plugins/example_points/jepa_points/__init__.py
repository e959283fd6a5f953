"""Sets of points in space for jepa: a space, the dataset `point_clouds`, the encoder `point_encoder`, two nulls and an
augmentation."""
