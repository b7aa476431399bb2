"""From PyTorch to verified ONNX bundles (needs torch and onnx: the extra `[export]`)."""
