from unit.corpus.stripping_texts import CLEANED, JOINED, PARAGRAPH, cleaned, rules


def numbered(forms, paragraphs=1):
    return "\n\n".join(f"{form}\n\n" + "\n\n".join([PARAGRAPH] * paragraphs) for form in forms)


def test_numbers_that_count_the_pages_go():
    assert cleaned(numbered(str(page) for page in range(1, 31))) == CLEANED
    assert cleaned(numbered(f"{page})" for page in range(7, 37))) == CLEANED
    assert rules(numbered(f"- {page} -" for page in range(1, 31))) == {"page_number"}


def test_numbers_of_chapters_stay():
    text = numbered((str(chapter) for chapter in range(1, 31)), paragraphs=40)
    assert cleaned(text).startswith(f"1\n\n{JOINED}")
    assert rules(text) == set()


def test_a_few_numbers_and_numbers_out_of_order_stay():
    assert rules(numbered(["1", "2", "3"])) == set()
    assert rules(numbered(str(1800 + 37 * year % 90) for year in range(30))) == set()
