"""A multimodal language model as a chain: encoder → alignment → fusion → language model.

`config` says which parts, `encoders` extracts features, `align` projects them into the language model's space, `fuse`
joins them with the text (`attention`: learned queries and gated layers, `times`: positions of frames), `language` and
`lstm` are what answers, `model` is all of it. `compose` puts it together from checkpoints, `check` says what does not
go together and `shape` what it looks like. `pixels`, `sounds` and `processing` turn files into tensors and captions
into tokens, `reading` media into what encoders take; `learning` is the loss. `siamese`, `svm` and `retrieval` align
without a language model (`spread` standardises), `classes` names texts with pictures; `why` explains an answer.
`checkpoint` keeps a model on the disk, `export` makes graphs of it that run without torch.
"""
