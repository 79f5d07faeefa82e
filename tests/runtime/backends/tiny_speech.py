"""Tiny random checkpoints of real architectures that hear or speak, saved like any checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase


def ctc(folder: Path, kind: str = "wav2vec2") -> None:
    """wav2vec2 or its kin with letters: seven convolutions of 20 ms together, two layers, a letter for each frame."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForCTC,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Processor,
    )

    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *ascii_uppercase]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    Wav2Vec2Processor(extractor, Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))).save_pretrained(folder)
    config = AutoConfig.for_model(
        kind, vocab_size=len(tokens), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, pad_token_id=0,
        feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True,
    )  # fmt: skip
    model = AutoModelForCTC.from_config(config)
    with torch.no_grad():
        for layer in getattr(model, kind).feature_extractor.conv_layers:
            layer.conv.weight.mul_(4)
        model.lm_head.weight.normal_(std=2)
    model.save_pretrained(folder)


def vits(folder: Path, speakers: int = 1, **tokenizing: bool) -> None:
    """VITS as MMS-TTS has it: letters to samples in one network."""
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["<pad>", *ascii_lowercase, " ", "'", "<unk>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    told = {"normalize": True, "phonemize": False, "is_uroman": False, **tokenizing}
    VitsTokenizer(str(folder / "vocab.json"), language="eng", **told).save_pretrained(folder)
    config = VitsConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=9, prior_encoder_num_flows=2, posterior_encoder_num_wavenet_layers=2,
        prior_encoder_num_wavenet_layers=2, duration_predictor_num_flows=2, duration_predictor_filter_channels=16,
        depth_separable_channels=2, depth_separable_num_layers=1, upsample_initial_channel=16, upsample_rates=[8, 8],
        upsample_kernel_sizes=[16, 16], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
        num_speakers=speakers, speaker_embedding_size=4 if speakers > 1 else 0, wavenet_kernel_size=3,
        sampling_rate=16_000, speaking_rate=0.25,
    )  # fmt: skip
    VitsModel(config).save_pretrained(folder)


def speecht5(folder: Path, vocoder: Path) -> None:
    """SpeechT5, which writes a spectrogram, and the vocoder that it is heard through, in a folder of its own."""
    import sentencepiece
    import torch
    from transformers import (
        SpeechT5Config,
        SpeechT5FeatureExtractor,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        SpeechT5Processor,
        SpeechT5Tokenizer,
    )

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog, he said."] * 2), model_type="char",
        model_prefix=str(folder / "spm_char"), vocab_size=33, bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        minloglevel=2, character_coverage=1.0, hard_vocab_limit=False,
    )  # fmt: skip
    (folder / "spm_char.vocab").unlink()
    words = SpeechT5Tokenizer(str(folder / "spm_char.model"))
    SpeechT5Processor(SpeechT5FeatureExtractor(num_mel_bins=8), words).save_pretrained(folder)
    config = SpeechT5Config(
        vocab_size=len(words), hidden_size=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=32, num_mel_bins=8,
        speech_decoder_prenet_units=16, speaker_embedding_dim=8, speech_decoder_postnet_layers=2,
        speech_decoder_postnet_units=8, max_text_positions=60, max_speech_positions=2000,
    )  # fmt: skip
    model = SpeechT5ForTextToSpeech(config)
    with torch.no_grad():
        model.speech_decoder_postnet.prob_out.bias.fill_(-4)  # it goes on for as long as the text is
    model.save_pretrained(folder)
    sounding = SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
    )  # fmt: skip
    SpeechT5HifiGan(sounding).save_pretrained(vocoder)


def moonshine(folder: Path) -> None:
    """Two random layers of Moonshine with a tokenizer of single letters."""
    import torch
    from tokenizers import Tokenizer, decoders, models
    from transformers import (
        MoonshineConfig,
        MoonshineForConditionalGeneration,
        PreTrainedTokenizerFast,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Processor,
    )

    words = ["<unk>", "<s>", "</s>", *(f"▁{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.decoder = decoders.Metaspace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    extractor = Wav2Vec2FeatureExtractor(feature_size=1, do_normalize=False, return_attention_mask=True)
    Wav2Vec2Processor(extractor, fast).save_pretrained(folder)
    torch.manual_seed(1)
    config = MoonshineConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        encoder_num_hidden_layers=2,
        decoder_num_hidden_layers=2,
        encoder_num_attention_heads=4,
        decoder_num_attention_heads=4,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        decoder_start_token_id=1,
        initializer_range=1.0,
    )
    MoonshineForConditionalGeneration(config).save_pretrained(folder)


def whisper(folder: Path) -> None:
    """Whisper with three languages, its time tokens, and bytes for words."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    folder.mkdir(parents=True, exist_ok=True)
    special = [
        "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|de|>", "<|translate|>", "<|transcribe|>",
        "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
    ]  # fmt: skip
    times = [f"<|{number * 0.02:.2f}|>" for number in range(1501)]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    words = WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    words.add_tokens(special, special_tokens=True)
    words.add_tokens(times)
    number = {token: words.convert_tokens_to_ids(token) for token in (*special, "<|0.00|>")}
    assert number["<|0.00|>"] == len(letters) + len(special), "time tokens come last"
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16), words).save_pretrained(folder)
    start, end = number["<|startoftranscript|>"], number["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=len(words), num_mel_bins=16, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64,
        decoder_start_token_id=start, bos_token_id=end, eos_token_id=end, pad_token_id=end,
        suppress_tokens=None, begin_suppress_tokens=None, init_std=0.5,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start, bos_token_id=end, eos_token_id=end, pad_token_id=end, is_multilingual=True,
        no_timestamps_token_id=number["<|notimestamps|>"], prev_sot_token_id=number["<|startofprev|>"],
        lang_to_id={token: number[token] for token in special[2:5]}, max_initial_timestamp_index=50,
        task_to_id={"translate": number["<|translate|>"], "transcribe": number["<|transcribe|>"]},
        alignment_heads=[[1, 0], [1, 1]], max_length=24, return_timestamps=True,
        suppress_tokens=[number[token] for token in special[1:]], begin_suppress_tokens=[end],
    )  # fmt: skip
    with torch.no_grad():
        model.proj_out.weight[number["<|nospeech|>"]] = 0
    model.save_pretrained(folder)
