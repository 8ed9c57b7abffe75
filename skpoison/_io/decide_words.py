"""How columns of text are read, unless something else is said of them."""

import numpy as np

from skpoison._words import counted, percent_text

from . import dates, identifiers, number_text
from .decide_dates import doubt_of, of_dates
from .decide_numbers import of_codes
from .decisions import FIRST_ROWS, NEARLY_ALL, WHAT, Unreadable, keep
from .errors import quoted
from .plan import Categories, LeftOut, Numbers, Text, distinct, of_text

FEW_CATEGORIES = 100
# Words of which there are more are categories of their own if they occur so often.
FEWEST_OF_WORD = 5
MOST_WORDS = 300
# Cells of so many words are sentences; of so many, they have words in common.
SENTENCE, PHRASE = 4, 2


class Words:
    """Decides how a column of text is read, by its distinct cells."""

    def __init__(self, name, column, data, encoding):
        self.name, self.column, self.data, self.encoding = name, column, data, encoding
        self.cells, codes = distinct(column)
        self.counts = np.bincount(codes, minlength=len(self.cells))
        words = self.cells.to_numpy(zero_copy_only=False).astype(object)
        self.blank = np.array([not word.strip() for word in words], dtype=bool)
        self.words, self.known = words[~self.blank], self.counts[~self.blank]

    @property
    def missing(self):
        return int(self.counts[self.blank].sum())

    def decide(self):
        if not len(self.words):
            return LeftOut(name=self.name, note="holds nothing", missing=self.missing)
        return (
            self._addresses()
            or self._numbers()
            or self._dates()
            or self._commas()
            or self._names()
            or self._many()
            or self._few()
        )

    def _addresses(self):
        import pyarrow.compute as pc

        if len(self.words) <= FEW_CATEGORIES and not self._all_differ():
            return None
        found = pc.match_substring_regex(self.cells, identifiers.IP)
        share = self.counts[number_text.mask_of(found)].sum() / self.known.sum()
        if share < number_text.MOSTLY or self._is_kept():
            return None
        return LeftOut(
            name=self.name,
            note=f"holds {len(self.words):,} IP addresses",
            option=f"{keep(self.name, 'categorical')}, or a column of their networks",
            missing=self.missing,
        )

    def _numbers(self):
        comma = self.data.decimal_comma
        style = number_text.style_of(self.cells, self.counts, comma)
        # In formats with types, digits that are text are meant to be.
        if style is None or (style.is_plain and self.data.has_types):
            return None
        values = of_text(self.column, style.parse)
        known = values[np.isfinite(values)]
        lost = len(values) - len(known)
        if len(known) and np.ptp(known) == 0 and not lost and self._may_be_constant():
            return self._constant()
        what = None
        if style.is_plain and not lost:  # Amounts, which have units, name nothing.
            what = identifiers.names_rows(self.name, known)
        if what and not self._is_kept():
            return LeftOut(name=self.name, note=WHAT[what], option=keep(self.name))
        wrong = self._wrong(style.parse)
        same = {
            "note": self._of_style(style, wrong),
            "option": keep(self.name, "categorical"),
            "doubt": self._doubt(style),
            "missing": lost,
        }
        if not same["doubt"] and self.encoding.codes != ():
            coded = of_codes(known, self.encoding)
            same |= coded | {"missing": lost + coded.get("missing", 0)}
        return Numbers(
            name=self.name,
            style=style,
            as_text=True,
            wrong=sum(wrong.values()),
            whole=bool(np.array_equal(known, np.rint(known))),
            **same,
        )

    def _doubt(self, style):
        """Say what about numbers may be meant otherwise."""
        unit = (style.before + style.after).strip()
        if style.others:
            shares = number_text.shares_of_units(style, self.cells, self.counts)
            listed = ", ".join(
                f"{one} {percent_text(share)}"
                for one, share in sorted(shares.items(), key=lambda item: -item[1])
            )
            return f"amounts in several currencies ({listed}) are read as if in one"
        if unit in ("%", "‰"):
            return self._without_unit(style, unit)
        zeros = [w.strip() for w in self.words if identifiers.ZEROS.match(w)]
        if style.is_plain and zeros:
            return f"cells such as {zeros[0]} {identifiers.LIKE_CODES}"
        return ""

    def _without_unit(self, style, unit):
        values = np.asarray(style.parse(self.cells), dtype=np.float64)
        lacks = number_text.without_unit(style, self.cells) & np.isfinite(values)
        if not lacks.any():
            return ""
        first = int(np.argmax(lacks))
        cell = self.cells[first].as_py().strip()
        n_cells = int(self.counts[lacks].sum())
        verb = "has" if n_cells == 1 else "have"
        return (
            f"{counted(n_cells, 'cell')} {verb} no {unit} sign, where others have: "
            f"{cell} is read as {values[first]:.15g} {unit}"
        )

    def _of_style(self, style, wrong):
        note = ""
        if not style.is_plain:
            texts = [w for w in self.words if w not in wrong and not w.isdigit()]
            longest = max(texts, key=len, default="")
            (value,) = style.parse(_strings([longest])).to_pylist()
            note = f"{longest.strip()!r} is read as {value:.15g}"
        return note + self._lost(wrong, bool(note))

    def _lost(self, wrong, goes_on):
        """Say which cells hold something that cannot be read."""
        if not wrong:
            return ""
        n_cells = sum(wrong.values())
        few = quoted([word[:30] for word in wrong], most=3)
        count = "1 cell is" if n_cells == 1 else f"{n_cells:,} cells are"
        return f"{'; ' if goes_on else ''}{count} taken as missing: {few}"

    def _wrong(self, parse):
        """Return cells that hold something that is not parsed, and how many do."""
        unread = np.isnan(np.asarray(parse(self.cells), dtype=np.float64))
        unread &= ~self.blank
        return {
            self.cells[int(i)].as_py(): int(self.counts[i])
            for i in np.flatnonzero(unread)
        }

    def _dates(self):
        order = self.encoding.date_order
        style, is_ambiguous = dates.style_of(self.cells, self.counts, order)
        if style is None:
            return None
        micros = of_text(self.column, style.parse)
        wrong = self._wrong(style.parse)
        note = self._lost(wrong, True)
        doubt = self._doubt_of_dates(style) if is_ambiguous and order == "auto" else ""
        return of_dates(
            self.name, micros, self.encoding, note, style, sum(wrong.values()), doubt
        )

    def _doubt_of_dates(self, style):
        """Say that days and months may be meant the other way round."""
        swap = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%d-%m": "%m-%d", "%m-%d": "%d-%m"}
        other = dates.DateStyle(swap[style.format[:5]] + style.format[5:])
        here, there = style.parse(self.cells), other.parse(self.cells)
        differ = np.isfinite(here) & (here != there)
        if not differ.any():
            return ""  # the first of January, the second of February
        first = int(np.argmax(differ))
        return doubt_of(style, self.cells.slice(first, 1))

    def _commas(self):
        """Refuse numbers that are written with the other decimal sign."""
        comma = self.data.decimal_comma
        if self.data.has_types:
            return
        style = number_text.style_of(self.cells, self.counts, not comma)
        if style is None:
            return
        cell = next(w for w in self.words if style.parse(_strings([w]))[0].is_valid)
        hint = "leave --decimal-comma out, or write them with decimal commas"
        if not comma:
            hint = "say --decimal-comma if that is a decimal comma"
        raise Unreadable(
            f"Column {self.name!r} holds numbers such as {cell.strip()}; {hint}."
        )

    def _all_differ(self):
        return self._are_known() and len(self.words) == self.known.sum()

    def _are_known(self):
        fewest = max(identifiers.FEWEST_NAMED, len(self.column) / 2)
        return self.known.sum() >= fewest

    def _is_kept(self):
        return self.name in self.encoding.features

    def _may_be_constant(self):
        return self.encoding.drop_constant and not self._is_kept()

    def _words_in_each(self):
        return np.mean([len(word.split()) for word in self.words[:FIRST_ROWS]])

    def _names(self):
        """Leave out words that name the rows."""
        nearly = len(self.words) >= identifiers.NEARLY * len(self.column)
        called = nearly and identifiers.is_called_so(self.name)
        differ = self._all_differ()
        hardly = self._are_known() and identifiers.hardly_repeats(
            len(self.words), self.known.sum()
        )
        if self._is_kept() or not (hardly or called):
            return None
        if len(self.words) < identifiers.FEWEST_NAMED:
            return None
        if self._words_in_each() >= SENTENCE:
            return None
        note = "holds a word of its own in every row: an identifier"
        if called and not differ:
            note = "is called an identifier, and hardly a word occurs twice"
        elif not differ:
            note = "holds hardly a word twice: an identifier"
        options = [keep(self.name), keep(self.name, "text-column")]
        option = " or ".join(options)
        return LeftOut(name=self.name, note=note, option=option, missing=self.missing)

    def _many(self):
        """Read many different words as text, or the rare ones as one category."""
        n_words = len(self.words)
        sentences = self._all_differ() and self._words_in_each() >= SENTENCE
        if n_words <= FEW_CATEGORIES and not sentences:
            return None
        note = f"{n_words:,} different values"
        if self._words_in_each() >= PHRASE:
            return Text(
                name=self.name,
                limit=MOST_WORDS,
                note=f"{note}: their words, at most the {MOST_WORDS} most frequent",
                option=f"{keep(self.name, 'text-column')} (all words) or "
                f"{keep(self.name, 'categorical')}",
            )
        n_frequent = min(int(np.sum(self.known >= FEWEST_OF_WORD)), FEW_CATEGORIES)
        which = f"{n_frequent} that occur {FEWEST_OF_WORD} times or more"
        if not n_frequent and not self._is_kept():
            note = f"{note}, none of which occurs {FEWEST_OF_WORD} times"
            option = f"{keep(self.name)} or {keep(self.name, 'text-column')}"
            return LeftOut(
                name=self.name, note=note, option=option, missing=self.missing
            )
        if n_frequent in (0, FEW_CATEGORIES):
            n_frequent, which = FEW_CATEGORIES, f"{FEW_CATEGORIES} most frequent"
        order = np.argsort(-self.known, kind="stable")
        frequent = self.words[order[:n_frequent]]
        return Categories(
            name=self.name,
            frequent=frozenset(frequent.tolist()),
            rare=self.words[order[n_frequent]],
            note=f"{note}: the {which}, and one for all others",
            option=f"{keep(self.name, 'categorical')} (all of them)",
            missing=self.missing,
        )

    def _few(self):
        if len(self.words) == 1 and not self.missing and self._may_be_constant():
            return self._constant()
        usual = self.known.max() >= NEARLY_ALL * len(self.column)
        return Categories(
            name=self.name, missing=self.missing, nearly_constant=bool(usual)
        )

    def _constant(self):
        (value,) = self.words[:1]
        note = f"is {value[:30]!r} in every row"
        return LeftOut(name=self.name, note=note, option=keep(self.name), value=value)


def _strings(texts):
    import pyarrow as pa

    return pa.array(texts, pa.string())
