"""Texts made from templates, one for each form of writing that the selection must tell apart."""

from __future__ import annotations

import random

NAMES = ["Ada", "Martha", "Oliver", "Edwin", "Clara", "Hugh"]
PLACES = ["the harbour", "the mill", "the old garden", "the kitchen", "the lighthouse", "the market"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty"]
UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
THINGS = ["a lantern", "the letter", "an iron key", "the basket", "a broken clock", "the blue coat"]


def number(chance: random.Random) -> str:
    """A number in words, as novels have them; makes each sentence another one."""
    return f"{chance.choice(TENS)}-{chance.choice(UNITS)}"


def story(seed: int = 0, words: int = 1_400, quotes: str = "“”") -> str:
    """Third-person narration in the past tense, with dialogue."""
    chance, paragraphs = random.Random(seed), []
    opening, closing = quotes
    while sum(len(paragraph.split()) for paragraph in paragraphs) < words:
        name, other = chance.sample(NAMES, 2)
        place, thing = chance.choice(PLACES), chance.choice(THINGS)
        paragraphs.append(
            f"{name} walked slowly to {place} and looked for {other}, who had left {thing} there the night before. "
            f"She thought of the {number(chance)} steps that she had counted, and her heart beat faster."
        )
        paragraphs.append(
            f"{opening}You came back,{closing} said {other}. {opening}I knew that you would bring {thing}.{closing} "
            f"He took it from her hand and turned away towards {chance.choice(PLACES)}, and they stood in silence."
        )
    return "\n\n".join(paragraphs) + "\n"


def letters(seed: int = 0, words: int = 1_400) -> str:
    """A story in letters: first and second person, partly in the present tense."""
    chance, paragraphs = random.Random(seed), []
    while sum(len(paragraph.split()) for paragraph in paragraphs) < words:
        name, thing = chance.choice(NAMES), chance.choice(THINGS)
        paragraphs += [
            f"The {chance.randint(2, 28)}th of May",
            f"My dear {name},",
            f"I found {thing} in {chance.choice(PLACES)} this morning and thought of you at once. You will laugh at "
            f"me, I know, but I sat down and cried, for my father had carried it when he was a boy. I told him so when "
            f"he came in, and he looked at me for {number(chance)} minutes and said nothing.",
            "I am, as always, your own",
            chance.choice(NAMES),
        ]
    return "\n\n".join(paragraphs) + "\n"


def present_story(seed: int = 0, words: int = 1_400) -> str:
    """Third-person narration in the present tense."""
    chance, paragraphs = random.Random(seed), []
    while sum(len(paragraph.split()) for paragraph in paragraphs) < words:
        name, place, thing = chance.choice(NAMES), chance.choice(PLACES), chance.choice(THINGS)
        paragraphs.append(
            f"{name} is at {place} again, with {thing} in her hand. She does not look up; she has counted her "
            f"{number(chance)} coins, and there is nobody to whom she can speak. He may come, he may be late."
        )
    return "\n\n".join(paragraphs) + "\n"


def poems(seed: int = 0, words: int = 1_400) -> str:
    """Stanzas of four short lines."""
    chance, stanzas = random.Random(seed), []
    while sum(len(stanza.split()) for stanza in stanzas) < words:
        place, thing = chance.choice(PLACES), chance.choice(THINGS)
        stanzas.append(
            f"I walked alone beside {place},\nAnd saw the evening fall;\n"
            f"I held {thing}, and all the {chance.randint(2, 90)} bells\nWere ringing from the hall."
        )
    return "\n\n".join(stanzas) + "\n"


def recipes(seed: int = 0, words: int = 1_400) -> str:
    """Instructions with headings."""
    chance, paragraphs = random.Random(seed), []
    while sum(len(paragraph.split()) for paragraph in paragraphs) < words:
        dish = chance.choice(["BARLEY SOUP", "APPLE TART", "BROWN BREAD", "PICKLED BEETS"])
        paragraphs += [
            dish,
            f"Take {chance.randint(2, 9)} cups of flour, one spoon of salt and a little butter. Mix well, add warm "
            "water until the paste is smooth, and let it stand for an hour. Roll out thin and bake in a moderate oven "
            f"until brown. Serve with cream. This quantity should be enough for {chance.randint(2, 90)} persons.",
        ]
    return "\n\n".join(paragraphs) + "\n"


def play(seed: int = 0, words: int = 1_400) -> str:
    """Speeches that begin with the name of the speaker."""
    chance, speeches = random.Random(seed), ["ACT I."]
    while sum(len(speech.split()) for speech in speeches) < words:
        first, second = NAMES[:2]
        speeches.append(f"{first}. Did you bring {chance.choice(THINGS)} from {chance.choice(PLACES)}, my dear?")
        speeches.append(f"{second}. [Aside.] She knows! I went there {chance.randint(2, 90)} times, and he saw me.")
    return "\n\n".join(speeches) + "\n"


def index(seed: int = 0, words: int = 1_400) -> str:
    """Entries with page numbers."""
    chance, entries = random.Random(seed), []
    while sum(len(entry.split()) for entry in entries) < words:
        entries.append(f"{chance.choice(THINGS).title()}, {chance.randint(1, 200)}, {chance.randint(201, 400)}")
    return "\n\n".join(entries) + "\n"


def essay(seed: int = 0, words: int = 1_400) -> str:
    """Argument in the present tense."""
    chance, paragraphs = random.Random(seed), []
    while sum(len(paragraph.split()) for paragraph in paragraphs) < words:
        matter = chance.choice(["commerce", "liberty", "taste", "government", "education", "virtue"])
        paragraphs.append(
            f"It is often said that {matter} is the foundation of a nation, and there is much in this that must be "
            f"granted. Yet those who maintain it do not consider that the principle of {matter} has "
            f"{chance.randint(2, 90)} conditions, each of which may be satisfied without the others; nor can any of "
            "them be separated from the state of opinion, which is itself the product of "
            "institutions that no legislation should hope to control."
        )
    return "\n\n".join(paragraphs) + "\n"


def french(words: int = 1_400) -> str:
    """Narration in another language."""
    sentence = (
        "Le vieil homme marchait lentement vers la maison, et personne ne savait pourquoi il était revenu ce soir-là. "
    )
    return "\n\n".join([sentence * 4] * (words // 70)) + "\n"


def wrapped(text: str, width: int = 70) -> str:
    """The text with hard-wrapped paragraphs."""
    import textwrap

    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in text.strip().split("\n\n")) + "\n"
