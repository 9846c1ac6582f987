"""What every measured number means: the one table of metric ids."""

from __future__ import annotations

from dataclasses import dataclass

_INTERVAL = "The interval is a bootstrap over books."


@dataclass(frozen=True)
class Definition:
    """A metric in words; an empty ``unit`` is a plain number."""

    name: str
    formula: str
    unit: str
    better: str
    source: str


DEFINITIONS: dict[str, Definition] = {
    "bits_per_byte": Definition(
        "Bits per byte",
        "Sum of -log2 p(token) over the scored tokens, divided by the UTF-8 bytes of their text. Every book starts "
        "from the empty state and an end-of-text token, so its first token is scored; the state is carried to the end. "
        "The end-of-text token that closes a book is not scored: it has no bytes, and books cut short have none. "
        + _INTERVAL,
        "bits/byte",
        "lower",
        "Gao et al. 2020, The Pile",
    ),
    "compressed_bits_per_byte": Definition(
        "Bits per byte of a compressor",
        "Bits that a book adds to the compressed size of nothing (xz), or of text of the training books "
        "(xz after training text: the beginnings of all books, up to evaluation.baselines.compressor_training_bytes "
        "together), / UTF-8 bytes of the book. LZMA2, preset 9, raw stream. " + _INTERVAL,
        "bits/byte",
        "lower",
        "xz as a model of text: Deletang et al. 2024, Language Modeling Is Compression",
    ),
    "token_perplexity": Definition(
        "Token perplexity",
        "exp(sum of -ln p(token) / number of scored tokens), over the same tokens as bits per byte. Comparable between "
        "models with the same tokenizer only. " + _INTERVAL,
        "",
        "lower",
        "Jelinek et al. 1977",
    ),
    "word_perplexity": Definition(
        "Word perplexity",
        "exp(sum of -ln p(token) / number of words), over the same tokens as bits per byte. Words are runs of "
        "characters without white space in the scored text; one that is cut at the end of a shortened book counts. "
        + _INTERVAL,
        "",
        "lower",
        "Rae et al. 2019, PG-19",
    ),
    "loss_by_position": Definition(
        "Loss by position",
        "Sum of -ln p(token) / number of tokens, over the scored tokens with position_from <= position < position_to. "
        "The position of a token is the number of tokens of its book before it. The interval is a bootstrap over the "
        "books that reach the range.",
        "nats/token",
        "lower",
        "Buitrago Ruiz and Gu 2025, arXiv 2507.02782",
    ),
    "context_gain": Definition(
        "Gain from the whole book",
        "Mean over the same target tokens of -ln p(token | the c tokens before it) + ln p(token | all of its book "
        "before it); in the table c is the shortest context measured. Targets lie in runs at random places at least as "
        "deep in the book as the longest context; a target has c tokens of context and as many more as there are "
        "targets before it in its run. Contexts start from the empty state, without an end of text. " + _INTERVAL,
        "nats/token",
        "higher",
        "Khandelwal et al. 2018, Sharp Nearby, Fuzzy Far Away, with the same targets for all contexts",
    ),
    "context_step": Definition(
        "Loss from more context",
        "Loss of the same targets with a longer context minus their loss with the next shorter one. " + _INTERVAL,
        "nats/token",
        "lower",
        "this project",
    ),
    "effective_remembrance": Definition(
        "Effective remembrance",
        "Total variation between the predictions for a target from the whole book before it and from the c tokens "
        "before it, mean over the targets of context gain; in the table c is the longest context measured: how much a "
        "prediction depends on what lies further back. " + _INTERVAL,
        "share",
        "neither",
        "Buitrago Ruiz and Gu 2025, arXiv 2507.02782",
    ),
    "reset_excess": Definition(
        "Cost of forgetting",
        "Loss of whole books whose state is thrown away every L tokens, so that a token has 1 to L tokens of context, "
        "minus their loss with the state carried; in the table L is the largest measured. Negative: carrying the state "
        "so far does harm. " + _INTERVAL,
        "nats/token",
        "higher",
        "this project; sliding-window evaluation as in Press et al. 2021, Shortformer",
    ),
    "shuffled_gap": Definition(
        "Loss from shuffling",
        "Loss of the first tokens of each book in a random order minus their loss in the order of the author. Token "
        "frequencies are the same, so a model that knows no order has 0. " + _INTERVAL,
        "nats/token",
        "higher",
        "this project",
    ),
    "state_rms": Definition(
        "Size of the state",
        "Root mean square of the values of a kind of state (for Mamba: of the scan, and of the convolution's window) "
        "of all layers after so many tokens of a book. " + _INTERVAL,
        "",
        "neither",
        "growth of the state past the training length: Chen et al. 2024, Stuffed Mamba",
    ),
    "seq_rep_4": Definition(
        "Repeated 4-grams",
        "1 - distinct 4-grams / 4-grams of the tokens of a continuation; mean over continuations. " + _INTERVAL,
        "share",
        "closer to human text",
        "Welleck et al. 2020, Neural Text Generation with Unlikelihood Training",
    ),
    "distinct_2": Definition(
        "Distinct 2-grams",
        "Distinct 2-grams / 2-grams of the tokens of a continuation; mean over continuations, which all have the same "
        "length. " + _INTERVAL,
        "share",
        "closer to human text",
        "Li et al. 2016, A Diversity-Promoting Objective Function",
    ),
    "loop_share": Definition(
        "Repetition loops",
        "Share of continuations that end in a phrase of at least two tokens three times in a row. " + _INTERVAL,
        "share",
        "lower",
        "Holtzman et al. 2020, The Curious Case of Neural Text Degeneration",
    ),
    "sentence_words": Definition(
        "Sentence length",
        "Words of all continuations / sentence ends in them, so that cut sentences do no harm. A sentence ends at "
        "'.', '!', '?' or an ellipsis before a capital, a digit or the end of a paragraph, except after titles and "
        "initials, and at a paragraph's end. " + _INTERVAL,
        "words",
        "closer to human text",
        "this project",
    ),
    "dialogue_share": Definition(
        "Dialogue",
        "Characters inside double quotation marks, marks included, / characters of all continuations. A quotation open "
        "at the end of the passage goes on; the end of a paragraph closes it. Speech in single quotation marks is not "
        "counted. " + _INTERVAL,
        "share",
        "closer to human text",
        "this project",
    ),
    "copied_8_share": Definition(
        "Copied 8-grams",
        "8-grams of the tokens of a continuation that occur in the training books / its 8-grams; mean over "
        "continuations. Stock phrases are among them. " + _INTERVAL,
        "share",
        "closer to human text",
        "n-gram novelty as in McCoy et al. 2023, RAVEN",
    ),
    "copied_32_share": Definition(
        "Copied 32-grams",
        "32-grams of the tokens of a continuation that occur in the training books / its 32-grams; mean over "
        "continuations. So long a run is text learnt by heart. " + _INTERVAL,
        "share",
        "lower",
        "n-gram novelty as in McCoy et al. 2023, RAVEN",
    ),
}
"""Definitions by id. Readers find the id of a number in its entry ``definition``."""
