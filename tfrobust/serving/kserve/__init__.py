"""KServe's model server over an exported model, and an explainer beside a predictor of TF Serving.

They need KServe's Python SDK (the extra `kserve`) and speak both protocols of KServe: V1, and the
Open Inference Protocol (V2) by REST and gRPC.
"""
