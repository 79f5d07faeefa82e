"""A multimodal language model as a chain: encoder → alignment → fusion → language model.

`config` says which parts, `encoders` extracts features, `align` projects them into the language model's space, `fuse`
joins them with the text, `model` answers; `pixels` and `processing` turn files into tensors and captions into tokens;
`checkpoint` keeps a model on the disk, `export` makes graphs of it that run without torch.
"""
