"""Vocabularies in the kinds of the published ones, and chat templates in their styles.

All are made here: a file of each kind holds a header and a vocabulary, no tensors. Every
vocabulary has the special tokens of every template, so that each can be tried with each.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import gguf

from support.models import byte_letters

CONTROL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<bos>", "<eos>", "<start_of_turn>"),
    *("<end_of_turn>", "<s>", "</s>", "<|begin_of_text|>", "<|start_header_id|>"),
    *("<|end_header_id|>", "<|eot_id|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>"),
    *("<|assistant|>", "<|observation|>", "<|end|>", "<|start|>", "<|message|>", "<|channel|>"),
    *("<|return|>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
)
MARKS = ("<think>", "</think>", "[INST]", "[/INST]", "<｜User｜>", "<｜Assistant｜>", "<tool_call>")
"""Added tokens that are no control tokens in some published files."""
_WORDS = ("the", "and", "think", "no", "system", "user", "model", "re", "in", "an", "er", "on")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_SIGNS = tuple("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")

_RUNS = tuple(" " * size for size in range(2, 25))
_LINES = tuple("\n" * size for size in range(1, 12))
_TABS = tuple("\t" * size for size in range(2, 8))
_INDENTED = ("\n    ", "\n        ", "    return", "\n\n    def", "\t<table>")
_TAGS = ("<table>", "<h1>", "</h1>", "<tr>")


def _header(path: Path, kind: str) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_context_length(4096)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model(kind)
    return writer


def _close(writer: gguf.GGUFWriter, tokens: Sequence[str], kinds: Sequence[int]) -> None:
    assert len(set(tokens)) == len(tokens) == len(kinds)
    writer.add_token_list(list(tokens))
    writer.add_token_types(list(kinds))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kinds(control: int, user: int, rest: int) -> list[int]:
    kind = gguf.TokenType
    return [kind.CONTROL] * control + [kind.USER_DEFINED] * user + [kind.NORMAL] * rest


def byte_level(
    path: Path, *, added: Sequence[str] = (), marks_are_control: bool = False, pre: str = "qwen2"
) -> Path:
    """Write a vocabulary of byte-level BPE, as GPT-2, NeoX, MPT, Llama 3 and Qwen have."""
    letters = [letter for _, letter in sorted(byte_letters().items())]
    pairs = ["t h", "th e", "Ġ t", "Ġt h", "Ġth e", "i n", "a n", "e r", "Ċ Ċ", "Ġ Ġ", "ĠĠ ĠĠ"]
    merged = ["".join(pair.split()) for pair in pairs]
    writer = _header(path, "gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_merges(pairs)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    control = [*CONTROL, *(MARKS if marks_are_control else ())]
    user = [*(() if marks_are_control else MARKS), *added]
    plain = [*letters, *merged]
    _close(writer, [*control, *user, *plain], _kinds(len(control), len(user), len(plain)))
    return path


def sentence_piece(path: Path, *, added: Sequence[str] = (), blank_in_front: bool = True) -> Path:
    """Write a SentencePiece vocabulary with byte fallback, as Llama 2, Mistral and Gemma have."""
    unknown = ["<unk>"]
    control = list(CONTROL)
    user = [*MARKS, *added]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    pieces = ["▁", *_LETTERS, *_SIGNS, "▁t", "th", "▁th", "▁▁", "▁a", "▁i", "no", "▁no", "us", "mo"]
    pieces += [f"▁{word}" for word in _WORDS]
    pieces = list(dict.fromkeys([*pieces, *_WORDS]))
    kind = gguf.TokenType
    tokens = [*unknown, *control, *user, *bytes_, *pieces]
    kinds = [kind.UNKNOWN, *_kinds(len(control), len(user), 0)]
    kinds += [kind.BYTE] * len(bytes_) + [kind.NORMAL] * len(pieces)
    writer = _header(path, "llama")
    writer.add_token_scores([0.0] * (len(tokens) - len(pieces)) + [-float(n) for n in
                            range(len(pieces))])  # fmt: skip
    writer.add_bos_token_id(tokens.index("<s>"))
    writer.add_eos_token_id(tokens.index("</s>"))
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(blank_in_front)
    writer.add_add_bos_token(True)
    _close(writer, tokens, kinds)
    return path


def word_piece(path: Path) -> Path:
    """Write a WordPiece vocabulary, as BERT has."""
    control = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *CONTROL]
    words = [f"▁{word}" for word in (*_WORDS, *"abcdefghijklmnopqrstuvwxyz0123456789", *_SIGNS)]
    words += list("abcdefghijklmnopqrstuvwxyz0123456789")
    tokens = ["[UNK]", *control, *MARKS, *words]
    writer = _header(path, "bert")
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_eos_token_id(tokens.index("[SEP]"))
    writer.add_unk_token_id(0)
    writer.add_sep_token_id(tokens.index("[SEP]"))
    kinds = [gguf.TokenType.UNKNOWN, *_kinds(len(control), len(MARKS), len(words))]
    _close(writer, tokens, kinds)
    return path


VOCABULARIES: dict[str, Callable[[Path], Path]] = {
    "byte-level": byte_level,
    "byte-level, marks are control tokens": lambda path: byte_level(path, marks_are_control=True),
    "byte-level, runs of blanks (NeoX)": lambda path: byte_level(path, added=_RUNS, pre="olmo"),
    "byte-level, blanks and tabs (MPT, Phi)": lambda path: byte_level(
        path, added=(*_RUNS, *_TABS), pre="mpt"
    ),
    "byte-level, indented": lambda path: byte_level(
        path, added=(*_INDENTED, *_RUNS), pre="llama-bpe"
    ),
    "SentencePiece, blank in front": sentence_piece,
    "SentencePiece, lines, runs and tags (Gemma)": lambda path: sentence_piece(
        path, added=(*_LINES, *_RUNS, *_TABS, *_TAGS), blank_in_front=False
    ),
    "SentencePiece, indented": lambda path: sentence_piece(path, added=(*_INDENTED, *_LINES)),
    "WordPiece": word_piece,
}

_LOOP = "{% for message in messages %}"
_OPEN = "{% if add_generation_prompt %}"
CHATML = (
    _LOOP + "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}" + _OPEN + "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{% set first = messages[0].content | trim + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for message in rest %}"
    "{% set role = 'model' if message.role == 'assistant' else message.role %}"
    "<start_of_turn>{{ role }}\n{{ first if loop.first }}{{ message.content | trim }}"
    "<end_of_turn>\n{% endfor %}" + _OPEN + "<start_of_turn>model\n{% endif %}"
)
LOOKS = (
    "{% set mode = '/think' %}{% if messages[0].role == 'system' %}"
    "{% if '/no_think' in messages[0].content %}{% set mode = '/no_think' %}{% endif %}"
    "{% set rules = messages[0].content.replace('/no_think', '').replace('/think', '').rstrip() %}"
    "{% else %}{% set rules = 'Be kind.' %}{% endif %}"
    "<|im_start|>system\nMode: {{ mode }}\n\n{{ rules }}<|im_end|>\n"
    + _LOOP
    + "{% if message.role == 'user' %}<|im_start|>user\n{{ message.content }}<|im_end|>\n"
    "{% elif message.role == 'assistant' %}<|im_start|>assistant\n"
    "{{ message.content.lstrip('\n') }}<|im_end|>\n{% endif %}{% endfor %}"
    + _OPEN
    + "<|im_start|>assistant\n{% if mode == '/no_think' %}<think>\n\n</think>\n{% endif %}"
    "{% endif %}"
)
TEMPLATES: dict[str, str] = {
    "ChatML": CHATML,
    "Gemma": GEMMA,
    "Llama 2": (
        "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
        "{% set first = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}"
        "{% else %}{% set rest = messages %}{% set first = '' %}{% endif %}"
        "{% for message in rest %}{% set text = message.content %}"
        "{% if loop.index0 == 0 %}{% set text = first + text %}{% endif %}"
        "{% if message.role == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}"
        "{% else %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
    "Llama 3": (
        "<|begin_of_text|>"
        + _LOOP
        + "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
        "{% if loop.first %}Today: {{ strftime_now('%d %b %Y') }}\n\n{% endif %}"
        "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
        + _OPEN
        + "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    ),
    "SmolLM3": LOOKS,
    "GLM": (
        "[gMASK]<sop>{%- macro shown(content) -%}{%- if content is string -%}{{- content }}"
        "{%- else -%}{%- for part in content -%}{{- part.text }}{%- endfor -%}{%- endif -%}"
        "{%- endmacro -%}" + _LOOP + "{%- if message.role == 'user' -%}<|user|>\n"
        "{{ shown(message.content) }}"
        "{{- '' if shown(message.content).endswith('/nothink') else '/think' -}}"
        "{%- elif message.role == 'assistant' -%}<|assistant|>\n"
        "{%- set text = shown(message.content) %}{%- if '</think>' in text %}"
        "{%- set text = text.split('</think>')[-1].lstrip('\n') %}{%- endif %}{{ text.strip() }}"
        "{%- else -%}<|system|>\n{{ shown(message.content) }}{%- endif -%}{%- endfor -%}"
        + _OPEN
        + "<|assistant|>{% endif %}"
    ),
    "Phi": (
        _LOOP
        + "{{ '<|' + message.role + '|>' + '\n' + message.content + '<|end|>\n' }}{% endfor %}"
        + _OPEN
        + "{{ '<|assistant|>\n' }}{% endif %}"
    ),
    "DeepSeek": (
        "{{ '<｜begin▁of▁sentence｜>' }}" + _LOOP + "{% if message.role == 'system' %}"
        "{{ message.content }}{% elif message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
        "{% else %}{% set text = message.content %}{% if '</think>' in text %}"
        "{% set text = text.split('</think>')[-1] %}{% endif %}"
        "{{ '<｜Assistant｜>' + text + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
        + _OPEN
        + "{{ '<｜Assistant｜><think>\n' }}{% endif %}"
    ),
    "Harmony": (
        _LOOP + "{% if message.role == 'assistant' %}"
        "<|start|>assistant<|channel|>final<|message|>{{ message.content }}"
        "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% endif %}"
        "{% else %}<|start|>{{ message.role }}<|message|>{{ message.content }}<|end|>{% endif %}"
        "{% endfor %}" + _OPEN + "<|start|>assistant{% endif %}"
    ),
    "Alpaca": (
        _LOOP + "{% if message.role == 'system' %}{{ message.content }}\n\n"
        "{% else %}### {{ message.role | capitalize }}:\n{{ message.content }}\n\n{% endif %}"
        "{% endfor %}" + _OPEN + "### Response:\n{% endif %}"
    ),
    "quoted": (
        _LOOP + "<|im_start|>{{ {'role': message.role, 'text': message.content} | tojson }}"
        "<|im_end|>\n{% endfor %}" + _OPEN + "<|im_start|>assistant\n{% endif %}"
    ),
    "training marks": (
        _LOOP + "<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' %}"
        "{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
        "{% else %}{{ message.content }}<|im_end|>{% endif %}\n{% endfor %}"
        + _OPEN
        + "<|im_start|>assistant\n{% endif %}"
    ),
    "by line": (
        _LOOP + "<|user|>{% for line in message.content.splitlines() %}{{ line.strip() }}\n"
        "{% endfor %}<|end|>{% endfor %}" + _OPEN + "<|assistant|>{% endif %}"
    ),
    "capitals": (
        _LOOP + "<|im_start|>{{ message.role }}\n{{ message.content | upper }}<|im_end|>\n"
        "{% endfor %}" + _OPEN + "<|im_start|>assistant\n{% endif %}"
    ),
}

SPELLINGS: tuple[str, ...] = (
    CHATML,
    CHATML.replace(" + ", " ~ "),
    _LOOP + "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{{ '<|im_start|>assistant\n' }}",
    "{%- macro turn(role, text) -%}<|im_start|>{{ role }}{{ '\n' }}{{ text }}<|im_end|>"
    "{%- endmacro -%}{%- for m in messages -%}{{ turn(m.role, m.content) }}{{ '\n' }}"
    "{%- endfor -%}{{ '<|im_start|>assistant' }}{{ '\n' }}",
    "{% set ns = namespace(all='') %}" + _LOOP + "{% set ns.all = ns.all + '<|im_start|>' + "
    "message.role + '\n' + message.content + '<|im_end|>' + '\n' %}{% endfor %}"
    "{{ ns.all }}{{ '<|im_start|>assistant\n' }}",
    _LOOP + "{{ ['<|im_start|>', message.role, '\n', message.content, '<|im_end|>\n'] | join }}"
    "{% endfor %}{{ '%s%s' % ('<|im_start|>', 'assistant\n') }}",
    _LOOP
    + "{{ '<|im_{}|>{}\n{}<|im_{}|>\n'.format('start', message.role, message.content, 'end') }}"
    "{% endfor %}{{ '<|im_start|>assistant\n' }}",
    _LOOP + "{% if loop.index > 90 %}{% break %}{% endif %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content.split('the') %}{{ part }}{{ 'the' if not loop.last }}"
    "{% endfor %}<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n' }}",
)
"""ChatML written in other ways; the last one looks at a message."""
