"""The options that commands share, with their explanations."""

from typing import Annotated

import typer

from ._checks import one_of, picture, positive_number, within

DATA = "Data"
DEFENSE = "Defense and learner"
OUTPUT = "Output"


FILE_HELP = (
    "File of labelled rows: CSV, TSV, Parquet, NPZ or svmlight, also packed by gzip, "
    "bzip2, xz or zstd. - is standard input."
)
DataFile = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help=FILE_HELP + " Without it, the handwritten digits 1 and 8 that come with "
        "scikit-learn.",
        show_default=False,
    ),
]
RequiredFile = Annotated[str, typer.Argument(metavar="DATA", help=FILE_HELP)]
Format = Annotated[
    str | None,
    typer.Option(
        callback=one_of("csv", "tsv", "parquet", "npz", "svmlight"),
        metavar="FORMAT",
        help="csv, tsv, parquet, npz or svmlight, where the file's name does not say.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Categorical = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column to take as categories even if it holds numbers; columns of words "
        "are anyway. Each category becomes a feature of zeros and ones. May be given "
        "several times.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
TextColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column of free text: each of its words becomes a feature. May be given "
        "several times.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
TextWeights = Annotated[
    str,
    typer.Option(
        callback=one_of("tfidf", "counts"),
        metavar="KIND",
        help="How often a word occurs (counts), or that weighted by its rarity "
        "(tfidf).",
        rich_help_panel=DATA,
    ),
]
Scaling = Annotated[
    str,
    typer.Option(
        "--scale",
        callback=one_of("auto", "none", "standard", "maxabs"),
        metavar="KIND",
        help="Bring columns of numbers to mean 0 and standard deviation 1 (standard) "
        "or into -1 to 1 (maxabs). auto does the first (the second for sparse rows) "
        "where one column would decide all distances nearly alone, and says so.",
        rich_help_panel=DATA,
    ),
]
MaxSize = Annotated[
    float,
    typer.Option(
        callback=positive_number,
        metavar="GB",
        help="How much packed or piped data may be read.",
        rich_help_panel=DATA,
    ),
]
OutputFile = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to write the rows that are kept, in the format that came in; - is "
        "standard output.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
KeepFormulas = Annotated[
    bool,
    typer.Option(
        "--keep-formulas",
        metavar="",
        help="Write cells that begin with =, +, - or @ and are no numbers as they are. "
        "Otherwise they get an apostrophe in front, so that no spreadsheet runs them.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write all numbers as JSON; - is standard output (the table then goes to "
        "standard error).",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Plot = Annotated[
    str | None,
    typer.Option(
        callback=picture,
        metavar="FILE",
        help="Draw a picture, as FILE.png, FILE.svg or FILE.pdf.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The column (in NPZ files, the array) of labels. May be left out if it "
        "is called target, label, class or y.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL",
        help="With more than two labels: the one to tell apart from all the others.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
TestFile = Annotated[
    str | None,
    typer.Option(
        "--test",
        metavar="FILE",
        help="Rows to test on, of the same form as DATA.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
TestShare = Annotated[
    float,
    typer.Option(
        callback=within(0, 1, open_high=True),
        metavar="SHARE",
        help="Without --test: share of the rows that is held out for testing, drawn "
        "from each class alike. 0 tests nothing.",
        rich_help_panel=DATA,
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Column to leave out; may be given several times.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header",
        metavar="",
        help="The first line holds data; the columns are then called 1, 2, 3, …",
        rich_help_panel=DATA,
    ),
]
DecimalComma = Annotated[
    bool,
    typer.Option(
        "--decimal-comma",
        metavar="",
        help="Numbers in delimited text are written as 3,14; cells are then separated "
        "by semicolons or tabs.",
        rich_help_panel=DATA,
    ),
]
Percentile = Annotated[
    float,
    typer.Option(
        callback=within(0, 100, open_low=True),
        metavar="PERCENT",
        help="How much of each class each of the two filters lets through, in percent.",
        rich_help_panel=DEFENSE,
    ),
]
DefenseKind = Annotated[
    str,
    typer.Option(
        "--defense",
        callback=one_of("fixed", "moving-centroids"),
        metavar="KIND",
        help="What the attacker cannot move: centers and radii of the filter (fixed), "
        "or the radii only (moving-centroids), where centers are estimated from clean "
        "and poison rows together; with it, --tol 0.01 is within reach.",
        rich_help_panel=DEFENSE,
    ),
]
Domain = Annotated[
    str,
    typer.Option(
        callback=one_of("real", "nonnegative", "count", "binary", "tfidf"),
        metavar="KIND",
        help="What the attacker can send as features: any numbers (real), none below 0 "
        "(nonnegative), whole ones (count), zeros and ones (binary), or the TF-IDF "
        "weights of a text (tfidf). Speaks of all features, unscaled; with it, "
        "--tol 0.01 is within reach.",
        rich_help_panel=DEFENSE,
    ),
]
LearnerC = Annotated[
    float | None,
    typer.Option(
        "--C",
        callback=positive_number,
        metavar="NUMBER",
        help="The learner is a linear support vector machine as in scikit-learn's "
        "LinearSVC(loss='hinge', C=…); C is 1 unless --rho is given.",
        rich_help_panel=DEFENSE,
        show_default=False,
    ),
]
LearnerRho = Annotated[
    float | None,
    typer.Option(
        "--rho",
        callback=positive_number,
        metavar="NUMBER",
        help="In place of --C: the learner keeps the norm of its weights and its "
        "intercept within this radius.",
        rich_help_panel=DEFENSE,
        show_default=False,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--tol",
        callback=positive_number,
        metavar="NUMBER",
        help="How close upper and lower bound should come, relative to the upper.",
        rich_help_panel=DEFENSE,
    ),
]
MaxIter = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="Most steps of the solver, 1000 if not said. The bounds hold wherever it "
        "stops.",
        rich_help_panel=DEFENSE,
        show_default=False,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**32 - 1,
        metavar="NUMBER",
        help="Seed of everything that is drawn.",
        rich_help_panel=DATA,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", metavar="", help="Replace files that exist.", rich_help_panel=OUTPUT
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        metavar="",
        help="Print nothing but errors and warnings.",
        rich_help_panel=OUTPUT,
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        metavar="",
        help="Show where an error comes from.",
        rich_help_panel=OUTPUT,
    ),
]
