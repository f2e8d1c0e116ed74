"""The model zoo: one builder per architecture, and the seeded weights they get.

Takes the export options (tiny or full size, sequence length), gives a `Spec`: a torch module, its
inputs and the names of its outputs. Every architecture is the library's own (transformers,
diffusers, torchvision, vit-pytorch) behind a thin positional wrapper. `MODELS` at the end is the
only list of models; a new one is a builder and a line there.

Deliberately not here: trained weights (nothing is downloaded, all values come from SEED), batch
sizes above 1, key-value caches, and anything about ONNX.
"""
import contextlib
import math
import zlib
from dataclasses import dataclass, field
from typing import Callable

import numpy as np
import torch
from torch import nn

SEED = 20260217


@dataclass
class Spec:
    """A model to export.

    `simplify` makes the module export cleanly without changing what it computes (checked: the
    reference output is taken before it runs). `calibrate` adjusts seeded weights so that activations
    keep a sane scale. `gain` multiplies the weights whose name ends with its key.
    """

    module: nn.Module
    inputs: dict  # name -> array
    outputs: list  # names
    config: dict
    simplify: Callable | None = None
    calibrate: Callable | None = None
    gain: dict = field(default_factory=dict)


class Wrap(nn.Module):
    """Calls model(**names->tensors) and picks tensors out of the result."""

    def __init__(self, model, names, pick):
        super().__init__()
        self.model, self.names, self.pick = model, names, pick

    def forward(self, *args):
        out = self.pick(self.model(**dict(zip(self.names, args))))
        return out if isinstance(out, tuple) else (out,)


def rng():
    """A fresh generator: each model's inputs depend on SEED and their shapes only."""
    return np.random.default_rng(SEED)


def normal(*shape):
    return rng().standard_normal(shape, dtype=np.float32)


def gpt_neo(a, hidden, layers, heads, tiny):
    """EleutherAI/gpt-neo: global and local attention in turn; `tiny` is (hidden, layers, heads)."""
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    if a.tiny:
        hidden, layers, heads = tiny
    cfg = GPTNeoConfig(
        vocab_size=256 if a.tiny else 50257,
        max_position_embeddings=32 if a.tiny else 2048,
        hidden_size=hidden,
        num_layers=layers,
        attention_types=[[["global", "local"], layers // 2]],
        num_heads=heads,
        intermediate_size=4 * hidden,
        window_size=8 if a.tiny else 256,
        attn_implementation="eager",
        use_cache=False,
    )
    seq = a.seq or (16 if a.tiny else 128)
    model = GPTNeoForCausalLM(cfg)
    model.tie_weights()

    def simplify(m):
        # Each attention layer already holds its own (local or global) causal mask as a buffer and
        # applies it with Where. The extra additive causal mask HF builds on top is redundant when
        # there is no padding, so it is left out.
        m.model.transformer._update_causal_mask = lambda *_, **__: None

    return Spec(
        module=Wrap(model, ["input_ids"], lambda o: o.logits),
        inputs={"input_ids": rng().integers(0, cfg.vocab_size, (1, seq))},
        outputs=["logits"],
        config=cfg.to_dict(),
        simplify=simplify,
        # GPT-Neo does not scale q.k by 1/sqrt(d): shrink q and k so that scores have std ~1.
        gain={"q_proj.weight": (hidden // heads) ** -0.25, "k_proj.weight": (hidden // heads) ** -0.25},
    )


def resnet50(a):
    """torchvision ResNet-50: 25.6 M; BatchNorm is folded into Conv by the exporter."""
    from torchvision.models.resnet import Bottleneck, ResNet

    class TinyResNet(ResNet):
        """The same network with 1/16 of the planes behind the stem."""

        def _make_layer(self, block, planes, *args, **kw):
            return super()._make_layer(block, planes // 16, *args, **kw)

    layers, size = ([2, 2, 2, 1], 64) if a.tiny else ([3, 4, 6, 3], 224)
    model = (TinyResNet if a.tiny else ResNet)(Bottleneck, layers)
    if a.tiny:
        model.fc = nn.Linear(512 * 4 // 16, 10)

    def calibrate(m):
        # Random weights need matching BatchNorm statistics, or activations grow with depth; and
        # zero-mean filters, or BatchNorm amplifies the rounding of what it subtracts (the mean of
        # the ReLU outputs) and the network is chaotic.
        # Residual branches are scaled down as training leaves them (torchvision starts them at zero):
        # at full scale rounding the weights to float16 alone moves the output by 1.6 %, since every
        # block doubles the variance of errors; a trained network does not.
        for mod in m.modules():
            if isinstance(mod, Bottleneck):
                mod.bn3.weight *= 0.2
                mod.bn3.bias *= 0.2
            if isinstance(mod, nn.BatchNorm2d):
                mod.momentum = 1.0
            elif isinstance(mod, nn.Conv2d):
                mod.weight -= mod.weight.mean((1, 2, 3), keepdim=True)
        g = torch.Generator().manual_seed(SEED)
        m.train()
        m(torch.randn(4, 3, size, size, generator=g))
        m.eval()

    return Spec(
        module=Wrap(model, ["x"], lambda o: o),
        inputs={"image": normal(1, 3, size, size)},
        outputs=["logits"],
        config={"layers": layers, "image": size},
        calibrate=calibrate,
    )


def sam2(a):
    """SAM 2.1 Hiera-L image encoder (Hiera trunk + FPN neck), 3 feature levels out."""
    from transformers import Sam2HieraDetConfig, Sam2VisionConfig, Sam2VisionModel

    if a.tiny:
        dims, size = [8, 16, 24, 32], 64
        hiera = dict(blocks_per_stage=[1, 2, 2, 1], num_attention_heads_per_stage=[1, 2, 2, 4],
                     window_size_per_stage=[4, 2, 2, 2], global_attention_blocks=[4])
    else:
        dims, size = [144, 288, 576, 1152], 1024
        hiera = dict(blocks_per_stage=[2, 6, 36, 4], num_attention_heads_per_stage=[2, 4, 8, 16],
                     window_size_per_stage=[8, 4, 16, 8], global_attention_blocks=[23, 33, 43])
    cfg = Sam2VisionConfig(
        backbone_config=Sam2HieraDetConfig(
            hidden_size=dims[0], embed_dim_per_stage=dims, image_size=[size, size],
            num_attention_heads=hiera["num_attention_heads_per_stage"][0], **hiera),
        backbone_channel_list=dims[::-1],
        backbone_feature_sizes=[[size // s, size // s] for s in (4, 8, 16)],
        fpn_hidden_size=16 if a.tiny else 256,
    )
    cfg._attn_implementation = cfg.backbone_config._attn_implementation = "eager"
    model = Sam2VisionModel(cfg)

    def simplify(m):
        # The bicubic resize of the position embedding has constant input: do it now.
        trunk = m.model.backbone
        trunk.pos_embed_full = nn.Parameter(trunk._get_pos_embed((size // 4, size // 4)).detach().contiguous())
        trunk._get_pos_embed = lambda hw: trunk.pos_embed_full

    return Spec(
        module=Wrap(model, ["pixel_values"], lambda o: tuple(o.fpn_hidden_states)),
        inputs={"pixel_values": normal(1, 3, size, size)},
        outputs=["fpn_s4", "fpn_s8", "fpn_s16"],
        config=cfg.to_dict(),
        simplify=simplify,
    )


def vit(a):
    """vit-pytorch ViT, width 1024, depth 12, mlp 2048: 103 M."""
    from vit_pytorch.vit import ViT

    kw = dict(image_size=32, patch_size=8, num_classes=10, dim=48, depth=2, heads=4, mlp_dim=96, dim_head=12) \
        if a.tiny else dict(image_size=224, patch_size=16, num_classes=1000, dim=1024, depth=12, heads=16, mlp_dim=2048)
    return Spec(
        module=Wrap(ViT(**kw), ["img"], lambda o: o),
        inputs={"image": normal(1, 3, kw["image_size"], kw["image_size"])},
        outputs=["logits"],
        config=kw,
    )


def vit_b16(a):
    """google/vit-base-patch16-224 as transformers has it, 1000-way head: 86.6 M."""
    from transformers import ViTConfig, ViTForImageClassification

    kw = dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256,
              image_size=64, patch_size=16, num_labels=10) if a.tiny else dict(num_labels=1000)
    cfg = ViTConfig(attn_implementation="eager", **kw)
    return Spec(
        module=Wrap(ViTForImageClassification(cfg), ["pixel_values"], lambda o: o.logits),
        inputs={"pixel_values": normal(1, 3, cfg.image_size, cfg.image_size)},
        outputs=["logits"],
        config={k: v for k, v in cfg.to_dict().items() if "label" not in k},
    )


def deepvit(a):
    """vit-pytorch DeepViT, width 1024, depth 24, mlp 2048: 204 M."""
    from vit_pytorch.deepvit import DeepViT

    kw = dict(image_size=32, patch_size=8, num_classes=10, dim=48, depth=2, heads=4, mlp_dim=96, dim_head=12) \
        if a.tiny else dict(image_size=224, patch_size=16, num_classes=1000, dim=1024, depth=24, heads=16, mlp_dim=2048)
    return Spec(
        module=Wrap(DeepViT(**kw), ["img"], lambda o: o),
        inputs={"image": normal(1, 3, kw["image_size"], kw["image_size"])},
        outputs=["logits"],
        config=kw,
    )


class PlainAttention:
    """diffusers' AttnProcessor without baddbmm and without folding heads into the batch."""

    def __call__(self, attn, x, encoder_hidden_states=None, attention_mask=None, temb=None, **_):
        ctx = x if encoder_hidden_states is None else encoder_hidden_states

        def heads(t):
            return t.reshape(1, t.shape[1], attn.heads, t.shape[2] // attn.heads).transpose(1, 2)

        q, k, v = heads(attn.to_q(x)), heads(attn.to_k(ctx)), heads(attn.to_v(ctx))
        p = ((q @ k.transpose(-1, -2)) * attn.scale).softmax(-1)
        o = (p @ v).transpose(1, 2).reshape(1, x.shape[1], -1)
        return attn.to_out[0](o)


def sd_unet(a):
    """Stable Diffusion 1.5 UNet, one denoising step: 860 M."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor

    kw = dict(block_out_channels=(8, 12), layers_per_block=1, cross_attention_dim=12,
              attention_head_dim=2, norm_num_groups=4, sample_size=16) if a.tiny else \
        dict(block_out_channels=(320, 640, 1280, 1280), layers_per_block=2, cross_attention_dim=768,
             attention_head_dim=8, norm_num_groups=32, sample_size=64)
    cross, plain = "CrossAttn{}Block2D", "{}Block2D"
    levels = len(kw["block_out_channels"]) - 1  # with attention; the last has none
    model = UNet2DConditionModel(
        in_channels=4, out_channels=4, freq_shift=0, flip_sin_to_cos=True, act_fn="silu", norm_eps=1e-5,
        down_block_types=(cross.format("Down"),) * levels + (plain.format("Down"),),
        up_block_types=(plain.format("Up"),) + (cross.format("Up"),) * levels, **kw)
    model.set_attn_processor(AttnProcessor())
    size, ctx, dim = kw["sample_size"], 7 if a.tiny else 77, kw["cross_attention_dim"]
    r = rng()
    return Spec(
        module=Wrap(model, ["sample", "timestep", "encoder_hidden_states"], lambda o: o.sample),
        inputs={
            "sample": r.standard_normal((1, 4, size, size), dtype=np.float32),
            "timestep": np.array([481], np.int64),
            "encoder_hidden_states": r.standard_normal((1, ctx, dim), dtype=np.float32),
        },
        outputs=["out_sample"],
        config=dict(model.config),
        simplify=lambda m: m.model.set_attn_processor(PlainAttention()),
    )


def whisper(a, part):
    """openai/whisper-medium; `part` is encoder (307 M), decoder (457 M) or both."""
    from transformers import WhisperConfig, WhisperModel
    from transformers.models.whisper import modeling_whisper

    kw = dict(d_model=32, layers=2, heads=4, ffn=128, vocab=256, src=50, tgt=32) if a.tiny else \
        dict(d_model=1024, layers=24, heads=16, ffn=4096, vocab=51865, src=1500, tgt=448)
    cfg = WhisperConfig(
        vocab_size=kw["vocab"], num_mel_bins=80, d_model=kw["d_model"],
        encoder_layers=kw["layers"], decoder_layers=kw["layers"],
        encoder_attention_heads=kw["heads"], decoder_attention_heads=kw["heads"],
        encoder_ffn_dim=kw["ffn"], decoder_ffn_dim=kw["ffn"],
        max_source_positions=kw["src"], max_target_positions=kw["tgt"],
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        attn_implementation="eager", use_cache=False,
    )
    seq = a.seq or (8 if a.tiny else 32)
    mel = normal(1, 80, 2 * kw["src"])
    ids = rng().integers(3, kw["vocab"], (1, seq))

    class Decoder(nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

        def forward(self, input_ids, encoder_hidden_states):
            h = self.decoder(input_ids=input_ids, encoder_hidden_states=encoder_hidden_states).last_hidden_state
            return h @ self.decoder.embed_tokens.weight.t()  # proj_out, tied

    class Both(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.encoder, self.dec = m.encoder, Decoder(m.decoder)

        def forward(self, input_features, decoder_input_ids):
            return self.dec(decoder_input_ids, self.encoder(input_features=input_features).last_hidden_state)

    def simplify(_):
        # HF builds the causal mask with vmap, which the tracer cannot follow.
        def mask(input_embeds, **__):
            return torch.full((seq, seq), torch.finfo(input_embeds.dtype).min, dtype=input_embeds.dtype).triu(1)[None, None]
        modeling_whisper.create_causal_mask = mask

    if part == "encoder":
        model = modeling_whisper.WhisperEncoder(cfg)
        inputs, names, out, pick = {"input_features": mel}, ["input_features"], ["last_hidden_state"], lambda o: o.last_hidden_state
    elif part == "decoder":
        model = Decoder(modeling_whisper.WhisperDecoder(cfg))
        inputs = {"input_ids": ids, "encoder_hidden_states": normal(1, kw["src"], kw["d_model"])}
        names, out, pick = list(inputs), ["logits"], lambda o: o
    else:
        model = Both(WhisperModel(cfg))
        inputs = {"input_features": mel, "decoder_input_ids": ids}
        names, out, pick = list(inputs), ["logits"], lambda o: o

    def calibrate(m):  # the encoder's position embedding is fixed sinusoids, not learnt
        for mod in m.modules():
            if isinstance(mod, modeling_whisper.WhisperEncoder):
                w = mod.embed_positions.weight
                w.copy_(modeling_whisper.sinusoids(*w.shape))

    return Spec(module=Wrap(model, names, pick), inputs=inputs, outputs=out, config=cfg.to_dict(),
                simplify=simplify, calibrate=calibrate)


def depth_anything(a, large):
    """LiheYoung/depth-anything-{small,large}-hf: 25 M and 335 M."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    if a.tiny:
        hidden, heads, layers, neck, fusion, head, size = \
            (24, 4, 4, [4, 8, 8, 8], 8, 6, 56) if large else (20, 2, 4, [4, 8, 8, 12], 8, 8, 56)
    else:
        hidden, heads, layers, neck, fusion, head, size = \
            (1024, 16, 24, [256, 512, 1024, 1024], 256, 32, 518) if large else (384, 6, 12, [48, 96, 192, 384], 64, 32, 518)
    dino = Dinov2Config(
        hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=layers, image_size=size, patch_size=14,
        out_indices=list(range(layers - 3, layers + 1)), apply_layernorm=True, reshape_hidden_states=False,
        use_mask_token=False, attn_implementation="eager")
    cfg = DepthAnythingConfig(backbone_config=dino, reassemble_hidden_size=hidden, neck_hidden_sizes=neck,
                              fusion_hidden_size=fusion, head_hidden_size=head, attn_implementation="eager")
    model = DepthAnythingForDepthEstimation(cfg)

    def simplify(m):
        # At the native size the position embedding needs no bicubic resize; HF adds one when tracing.
        emb = m.model.backbone.embeddings
        emb.interpolate_pos_encoding = lambda *_: emb.position_embeddings

    def calibrate(m):  # keep the final ReLU mostly open
        m.model.head.conv3.bias.fill_(2.0)

    return Spec(
        module=Wrap(model, ["pixel_values"], lambda o: o.predicted_depth),
        inputs={"pixel_values": normal(1, 3, size, size)},
        outputs=["predicted_depth"],
        config=cfg.to_dict(), simplify=simplify, calibrate=calibrate,
    )


MODELS = {
    "resnet50": resnet50,
    "vit": vit,
    "vit-b16": vit_b16,
    "deepvit": deepvit,
    "gptneo-s": lambda a: gpt_neo(a, 768, 12, 12, tiny=(32, 2, 2)),
    "gptneo-1.3b": lambda a: gpt_neo(a, 2048, 24, 16, tiny=(32, 2, 4)),
    "gptneo-2.7b": lambda a: gpt_neo(a, 2560, 32, 20, tiny=(40, 2, 5)),
    "sam2": sam2,
    "sd-unet": sd_unet,
    "whisper-medium": lambda a: whisper(a, "both"),
    "whisper-medium-encoder": lambda a: whisper(a, "encoder"),
    "whisper-medium-decoder": lambda a: whisper(a, "decoder"),
    "depthanything-s": lambda a: depth_anything(a, large=False),
    "depthanything-l": lambda a: depth_anything(a, large=True),
}


@contextlib.contextmanager
def no_init():
    """Leave torch.nn.init and HF initialisers out: `seed_weights` sets every parameter."""
    from transformers.modeling_utils import no_init_weights

    with no_init_weights():
        yield


@torch.no_grad()
def seed_weights(model, gains):
    """Variance-preserving init; each tensor's values depend on SEED and its name only.

    Biases and norm weights get noise too (not 0 and 1), so that dropping or swapping any tensor
    changes the output.
    """
    done = set()
    for prefix, mod in model.named_modules():
        for pname, p in mod.named_parameters(recurse=False):
            name = f"{prefix}.{pname}"
            if id(p) in done:
                continue
            done.add(id(p))
            x = torch.randn(p.shape, generator=torch.Generator().manual_seed(SEED ^ zlib.crc32(name.encode())))
            gain = next((g for end, g in gains.items() if name.endswith(end)), 1.0)
            if p.ndim == 1:
                norm_weight = pname == "lambda1" or (pname == "weight" and not isinstance(mod, (nn.Linear, nn.Conv2d)))
                x = 1 + 0.1 * x if norm_weight else 0.1 * x
            elif isinstance(mod, (nn.ConvTranspose2d, nn.ConvTranspose1d)):
                x *= gain / math.sqrt(p.shape[0])  # kernel == stride everywhere in the zoo
            elif isinstance(mod, nn.Embedding):
                x *= gain / math.sqrt(p.shape[1])
            elif isinstance(mod, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                x *= gain / math.sqrt(p[0].numel())
            else:  # position embeddings, class tokens, DeepViT's re-attention matrix
                x *= 0.5
            p.copy_(x)
        for bname, b in mod.named_buffers(recurse=False):
            if bname in ("running_mean", "num_batches_tracked"):
                b.zero_()
            elif bname == "running_var":
                b.fill_(1)
