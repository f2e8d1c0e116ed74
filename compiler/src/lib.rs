//! ONNX to `.fmplan`: one folder per stage, in order.
