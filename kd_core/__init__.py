"""KD Studio's engine: knowledge distillation of text classifiers."""
