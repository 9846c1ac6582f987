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
    "loop_fraction": Definition(
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
    "dialogue_fraction": Definition(
        "Dialogue",
        "Characters inside double quotation marks, marks included, / characters of all continuations. A description, "
        "not a judgement: a random mark opens a quotation too, so any share may be met by chance. A quotation open "
        "at the end of the passage goes on; the end of a paragraph closes it. Speech in single quotation marks is not "
        "counted. " + _INTERVAL,
        "share",
        "neither",
        "this project",
    ),
    "copied_8_fraction": Definition(
        "Copied 8-grams",
        "8-grams of the tokens of a continuation that occur in the training books / its 8-grams; mean over "
        "continuations. Stock phrases are among them. " + _INTERVAL,
        "share",
        "closer to human text",
        "n-gram novelty as in McCoy et al. 2023, RAVEN",
    ),
    "copied_32_fraction": Definition(
        "Copied 32-grams",
        "32-grams of the tokens of a continuation that occur in the training books / its 32-grams; mean over "
        "continuations. So long a run is text learnt by heart. " + _INTERVAL,
        "share",
        "lower",
        "n-gram novelty as in McCoy et al. 2023, RAVEN",
    ),
    "sentence_order": Definition(
        "Sentence order",
        "Share of other orders of the same sentences that the model finds less likely than the true one; a tie counts "
        "one half. Stretches of consecutive sentences are cut from places spread over the book; each sentence is "
        "encoded by itself behind a space, so every order has the same tokens. The first sentence stays in its place. "
        "Chance: 0.5. " + _INTERVAL,
        "share",
        "higher",
        "Barzilay and Lapata 2008, Modeling Local Coherence",
    ),
    "paragraph_order": Definition(
        "Paragraph order",
        "As sentence order, with paragraphs of at least eight words, each encoded by itself behind a blank line. "
        "Chance: 0.5. " + _INTERVAL,
        "share",
        "higher",
        "Barzilay and Lapata 2008, Modeling Local Coherence",
    ),
    "foreign_sentence": Definition(
        "Foreign sentence",
        "Share of pairs of stretches from the same book in which the middle sentences are more likely in their own "
        "places than exchanged: the sum of both stretches' log-probabilities is compared, so that the length and the "
        "words of a sentence cancel out. Chance: 0.5. " + _INTERVAL,
        "share",
        "higher",
        "this project, after the sentence insertion of Elsner and Charniak 2011",
    ),
    "chapter_suffix": Definition(
        "Next chapter",
        "Share of chapters whose opening gains most of six by the text before their heading. Six chapters of a book "
        "form a group, each is asked for once, and the others' openings are the wrong answers; the gain is the "
        "opening's log-probability minus its mean after all six texts, for openings differ far more by themselves "
        "than by what stands before them. Headings are left out. The first and the last chapter of a book and short "
        "ones give no case. A prefix is shorter than its limit where an opening of the group would be in it. Chance: "
        "1/6, exactly for a model that ignores the prefix. " + _INTERVAL,
        "share",
        "higher",
        "Sun et al. 2022, ChapterBreak, arXiv 2204.10878, calibrated as in Holtzman et al. 2021, Surface Form "
        "Competition, arXiv 2104.08315",
    ),
    "last_word_accuracy": Definition(
        "Last words",
        "Share of last words of passages whose tokens are all the most likely ones after the passage and the rest "
        "of the last sentence. The word has at least three letters, occurs in a sentence before and nowhere else "
        "in the last one. Here: words that are no names. " + _INTERVAL,
        "share",
        "higher",
        "after Paperno et al. 2016, LAMBADA",
    ),
    "last_word_accuracy_alone": Definition(
        "Last words without the passage",
        "As last words, after the rest of the last sentence alone. Use of the story is the difference. " + _INTERVAL,
        "share",
        "a scale for the other",
        "after Paperno et al. 2016, LAMBADA",
    ),
    "last_word_gain": Definition(
        "Last words, gain",
        "Mean of ln p(word | passage, sentence) - ln p(word | sentence), over the words of last words: how many "
        "nats the passage is worth. 0 for a model that looks at no more than the sentence. " + _INTERVAL,
        "nats/word",
        "higher",
        "after Paperno et al. 2016, LAMBADA",
    ),
    "last_name_accuracy": Definition(
        "Last names",
        "Share of last words of passages whose tokens are all the most likely ones after the passage and the rest "
        "of the last sentence. The word has at least three letters, occurs in a sentence before and nowhere else "
        "in the last one. Here: names: words that their book never spells with a small letter. " + _INTERVAL,
        "share",
        "higher",
        "after Paperno et al. 2016, LAMBADA",
    ),
    "last_name_accuracy_alone": Definition(
        "Last names without the passage",
        "As last names, after the rest of the last sentence alone. Use of the story is the difference. " + _INTERVAL,
        "share",
        "a scale for the other",
        "after Paperno et al. 2016, LAMBADA",
    ),
    "last_name_gain": Definition(
        "Last names, gain",
        "Mean of ln p(word | passage, sentence) - ln p(word | sentence), over the words of last names: how many "
        "nats the passage is worth. 0 for a model that looks at no more than the sentence. " + _INTERVAL,
        "nats/word",
        "higher",
        "after Paperno et al. 2016, LAMBADA",
    ),
    "name_recall_gain": Definition(
        "Names met again",
        "Mean of ln p(later mention) - ln p(first mention) of the same name in the same tokens, over its later "
        "mentions, then over names; the book is read whole with carried state. A name is a capitalised word, three "
        "times or more in its book and never with a small letter; only mentions inside a sentence count. By distance: "
        "tokens since the last mention of any kind, names by their mentions there. Exactly 0 for token frequencies. "
        + _INTERVAL,
        "nats/name",
        "higher",
        "this project; motivated by Papalampidi et al. 2022, arXiv 2202.01709",
    ),
    "far_name_gain": Definition(
        "Names from far back",
        "Mean of ln p(mention | the book before it) - ln p(mention | the last `name_window_tokens` tokens), over "
        "mentions of names that these tokens do not hold and the book does; names as in names met again. How many nats "
        "the memory of a name from further back is worth. Exactly 0 for a model that looks no further. " + _INTERVAL,
        "nats/name",
        "higher",
        "this project; motivated by Papalampidi et al. 2022, arXiv 2202.01709",
    ),
    "zipf_slope": Definition(
        "Zipf slope",
        "Slope of the least-squares line of ln frequency on ln rank over the words of a continuation, small "
        "letters and large alike; mean over continuations, which all have the same length, for the slope depends "
        "on it. " + _INTERVAL,
        "",
        "closer to human text",
        "Zipf 1935; as in Holtzman et al. 2020",
    ),
    "names_from_prompt": Definition(
        "Names of the passage",
        "Different names in continuations that the passage mentions / different names in them. A name is a "
        "capitalised word that stands inside a sentence at least once and is never spelt with a small letter, in "
        "passage and continuation together. " + _INTERVAL,
        "share",
        "closer to human text",
        "this project; motivated by Papalampidi et al. 2022, arXiv 2202.01709",
    ),
    "names_kept": Definition(
        "Names kept",
        "Different names that both halves of a continuation mention / different names in continuations; names as "
        "above. " + _INTERVAL,
        "share",
        "closer to human text",
        "this project; motivated by Papalampidi et al. 2022, arXiv 2202.01709",
    ),
    "longest_copy": Definition(
        "Longest copy",
        "Tokens of the longest run of a continuation that occurs word for word in the training books; runs below 8"
        " tokens count as 0; mean over continuations. " + _INTERVAL,
        "tokens",
        "closer to human text",
        "after Carlini et al. 2023, Quantifying Memorization",
    ),
}
"""Definitions by id. Readers find the id of a number in its entry ``definition``."""

HEADLINE: dict[str, str] = {
    "bits_per_byte": "what the model was trained for; compares across tokenizers",
    "context_gain": "whether it uses the text before at all; the same targets, so that easy places do not count",
    "reset_excess": "whether it gains from what lies further back than the longest reset",
    "sentence_order": "the most cases of the questions about structure, so the smallest intervals",
    "chapter_suffix": "the one question about structure that needs more than a page",
    "last_word_gain": "what a passage tells it, in words that need the passage",
    "foreign_sentence": "whether a sentence fits its place, the sharpest of the questions about structure",
    "seq_rep_4": "the commonest fault of generated text",
}
"""At most eight metrics for the main table, one a question, each with the reason for its place there.

All others are in the appendix of the report.
"""

UNSEPARATED: dict[str, str] = {
    "loop_fraction": "0 is what every model should have when it samples; a number here tells a broken one",
    "copied_32_fraction": "0 is what every model should have; a number here tells text learnt by heart",
    "copied_8_fraction": "rare in human text too, so it takes hundreds of continuations",
    "name_recall_gain": "needs a memory of names, which a small model has not; token frequencies gain exactly 0, with "
    "a cache of the book's tokens 0.8 nats",
    "far_name_gain": "as names met again",
    "last_name_gain": "as names met again",
    "last_name_accuracy": "as names met again",
    "names_from_prompt": "as names met again",
    "names_kept": "as names met again",
}
"""Metrics in which a small trained model (2 million parameters, 5 million tokens) did not differ from an untrained one
on 25 real books, and why they are measured all the same.
"""
