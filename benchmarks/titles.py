"""Made-up catalogs whose true kinds are known: seeded titles as suppliers write them, none copied.

Brands are syllables thrown together, so that no word list can know them.
A kind's varieties (flavour, colour, cut, material) belong to it; kinds of one shelf share words on purpose
("wood screws", "wood glue"), since that is what makes titles hard to tell apart.

    "VELTORA STRAWBERRY GREEK YOGURT 5.3 OZ"   -> ("Dairy", "yogurt")
    "Wood Screws, Brass, 8 x 1-1/4 in, 100 ct" -> ("Fasteners", "wood screws")
"""

from __future__ import annotations

import random
from dataclasses import dataclass

SHELVES: dict[str, dict[str, tuple[str, str]]] = {
    "Dairy": {
        "yogurt": ("strawberry|blueberry|vanilla|peach|plain|greek vanilla|key lime|black cherry", "oz"),
        "milk": ("whole|2%|skim|1%|lactose free|chocolate", "gal"),
        "butter": ("salted|unsalted|spreadable|whipped", "oz"),
        "cream cheese": ("plain|chive & onion|strawberry|garden vegetable", "oz"),
        "sour cream": ("regular|light|fat free", "oz"),
        "cottage cheese": ("small curd|large curd|low fat|pineapple", "oz"),
        "shredded cheese": ("cheddar|mozzarella|mexican blend|parmesan|colby jack", "oz"),
        "sliced cheese": ("swiss|american|provolone|pepper jack|gouda", "oz"),
        "coffee creamer": ("hazelnut|french vanilla|caramel|pumpkin spice", "fl oz"),
        "eggs": ("large|extra large|cage free|brown", "ct"),
    },
    "Pantry": {
        "peanut butter": ("creamy|crunchy|honey roasted|natural", "oz"),
        "jam": ("strawberry|grape|apricot|raspberry|orange", "oz"),
        "pasta sauce": ("marinara|tomato basil|roasted garlic|four cheese|vodka", "oz"),
        "tomato paste": ("regular|no salt added|italian herbs", "oz"),
        "diced tomatoes": ("fire roasted|no salt added|green chilies", "oz"),
        "spaghetti": ("thin|whole wheat|gluten free", "lb"),
        "rice": ("long grain|brown|jasmine|basmati|wild", "lb"),
        "chicken broth": ("low sodium|regular|organic", "oz"),
        "olive oil": ("extra virgin|light|garlic", "ml"),
        "soy sauce": ("low sodium|dark|tamari", "fl oz"),
        "ketchup": ("regular|no sugar added|hot", "oz"),
        "mustard": ("yellow|dijon|honey|spicy brown", "oz"),
        "canned tuna": ("in water|in oil|albacore", "oz"),
        "black beans": ("regular|low sodium|seasoned", "oz"),
    },
    "Snacks": {
        "potato chips": ("bbq|sour cream & onion|salt & vinegar|original|jalapeno", "oz"),
        "tortilla chips": ("blue corn|lime|restaurant style|nacho", "oz"),
        "pretzels": ("mini|honey wheat|twists|sea salt", "oz"),
        "popcorn": ("movie butter|kettle|white cheddar|caramel", "oz"),
        "granola bars": ("oats & honey|chocolate chip|peanut|almond", "ct"),
        "crackers": ("wheat|cheddar|rosemary|saltine", "oz"),
        "trail mix": ("tropical|nut & chocolate|cranberry", "oz"),
        "salsa": ("mild|medium|hot|peach mango|verde", "oz"),
        "chocolate bar": ("dark|milk|almond|sea salt caramel|raspberry", "oz"),
        "gummy candy": ("bears|worms|sour|peach rings", "oz"),
        "beef jerky": ("teriyaki|peppered|original|sweet chili", "oz"),
    },
    "Beverages": {
        "orange juice": ("pulp free|with calcium|some pulp", "fl oz"),
        "apple juice": ("unfiltered|no sugar added|organic", "fl oz"),
        "sparkling water": ("lime|grapefruit|lemon|black cherry|plain", "pk"),
        "cola": ("diet|zero sugar|cherry|vanilla|caffeine free", "pk"),
        "ginger ale": ("diet|cranberry|regular", "pk"),
        "sports drink": ("fruit punch|lemon lime|blue|orange", "fl oz"),
        "ground coffee": ("dark roast|medium roast|decaf|hazelnut|colombian", "oz"),
        "coffee pods": ("dark roast|breakfast blend|caramel|decaf", "ct"),
        "green tea": ("jasmine|mint|lemon|decaf", "ct"),
        "black tea": ("earl grey|english breakfast|chai|decaf", "ct"),
        "hot cocoa mix": ("milk chocolate|marshmallow|dark chocolate", "ct"),
        "lemonade": ("pink|strawberry|mango|zero sugar", "fl oz"),
    },
    "Frozen": {
        "frozen pizza": ("pepperoni|four cheese|supreme|margherita", "oz"),
        "ice cream": ("vanilla|mint chocolate chip|cookies & cream|strawberry|pistachio", "qt"),
        "frozen waffles": ("blueberry|buttermilk|chocolate chip|homestyle", "ct"),
        "frozen peas": ("petite|organic|with carrots", "oz"),
        "french fries": ("crinkle cut|shoestring|waffle cut|steak", "oz"),
        "fish sticks": ("crunchy|gluten free|family", "ct"),
        "chicken nuggets": ("dino|spicy|whole grain|homestyle", "oz"),
        "frozen burritos": ("bean & cheese|beef|chicken|breakfast", "ct"),
        "ice pops": ("cherry|assorted|mango|lime", "ct"),
        "pie crust": ("deep dish|graham|gluten free", "ct"),
    },
    "Cleaning": {
        "dish soap": ("lemon|lavender|original|antibacterial|green apple", "fl oz"),
        "hand soap": ("lavender|sea breeze|aloe|foaming", "fl oz"),
        "laundry detergent": ("mountain spring|free & clear|lavender|cold water", "fl oz"),
        "fabric softener": ("april fresh|lavender|vanilla", "fl oz"),
        "dishwasher tablets": ("lemon|fresh|platinum", "ct"),
        "paper towels": ("select a size|white|printed", "rolls"),
        "toilet paper": ("ultra soft|ultra strong|septic safe", "rolls"),
        "trash bags": ("scented|drawstring|tall kitchen|black", "ct"),
        "glass cleaner": ("original|ammonia free|vinegar", "fl oz"),
        "sponges": ("non scratch|heavy duty|cellulose", "ct"),
        "bleach": ("lemon|regular|splash less", "fl oz"),
        "toilet cleaner": ("rain clean|gel|bleach", "fl oz"),
    },
    "Fasteners": {
        "wood screws": ("brass|zinc|flat head|phillips", "ct"),
        "machine screws": ("stainless|zinc|pan head", "ct"),
        "drywall screws": ("coarse|fine|black", "ct"),
        "hex bolts": ("zinc|galvanized|grade 8|stainless", "ct"),
        "hex nuts": ("zinc|stainless|nylon insert", "ct"),
        "flat washers": ("stainless|nylon|zinc", "ct"),
        "finish nails": ("bright|galvanized|brad", "lb"),
        "roofing nails": ("galvanized|coil|stainless", "lb"),
        "wall anchors": ("plastic|toggle|self drilling", "ct"),
        "wood glue": ("interior|waterproof|fast set", "fl oz"),
        "picture hooks": ("brass|adhesive|heavy duty", "ct"),
    },
    "Tools": {
        "claw hammer": ("fiberglass|wood handle|steel", "oz"),
        "tape measure": ("magnetic|self lock|compact", "ft"),
        "screwdriver set": ("magnetic|insulated|precision", "pc"),
        "drill bits": ("titanium|masonry|cobalt|black oxide", "pc"),
        "utility knife": ("retractable|folding|snap off", "ct"),
        "pliers": ("needle nose|slip joint|locking|linesman", "in"),
        "hand saw": ("crosscut|japanese|pruning", "in"),
        "spirit level": ("torpedo|magnetic|digital", "in"),
        "work gloves": ("leather|nitrile|cut resistant", "pr"),
        "safety glasses": ("clear|tinted|anti fog", "ct"),
        "sandpaper": ("fine|assorted|coarse|wet dry", "ct"),
        "paint brush": ("angled|flat|foam|natural bristle", "in"),
        "paint roller": ("microfiber|mini|foam", "in"),
    },
    "Pets": {
        "dry dog food": ("chicken & rice|beef|lamb|salmon|puppy", "lb"),
        "wet dog food": ("beef|chicken|turkey & vegetables", "oz"),
        "dry cat food": ("salmon|indoor|kitten|chicken", "lb"),
        "wet cat food": ("tuna|chicken|ocean fish|pate", "oz"),
        "cat litter": ("clumping|crystal|pine|unscented", "lb"),
        "dog treats": ("peanut butter|bacon|dental|training", "oz"),
        "dog leash": ("nylon|retractable|leather", "ft"),
        "dog toy": ("rope|squeaky|ball|plush", "ct"),
        "bird seed": ("wild|sunflower|finch", "lb"),
        "aquarium filter": ("internal|canister|hang on", "ct"),
    },
    "Baby": {
        "diapers": ("newborn|overnight|swim|sensitive", "ct"),
        "baby wipes": ("unscented|sensitive|cucumber", "ct"),
        "infant formula": ("soy|gentle|sensitive", "oz"),
        "baby food pouch": ("apple banana|sweet potato|pear & spinach|mango", "oz"),
        "baby shampoo": ("lavender|tear free|oat", "fl oz"),
        "pacifier": ("silicone|glow|orthodontic", "ct"),
        "baby bottle": ("glass|anti colic|wide neck", "oz"),
        "teething ring": ("silicone|water filled|wood", "ct"),
    },
}
"""Shelf -> true kind -> (varieties, separated by |; unit of its sizes)."""

_NOISE = (
    "new",
    "premium",
    "classic",
    "value size",
    "family size",
    "quality",
    "everyday",
    "best",
    "value pack",
)
_SYLLABLES = tuple("vel tor ra mi ko san dre lu be no fi ga har win ster mo pel qui ro da zen ta".split())  # noqa: SIM905
_STYLES = ("{b}{n} {v} {k} {s}", "{b} {k}, {v}, {s}", "{b} {v} {k}{n}, {s}", "{b} {k} {v}{n} {s}")
_SIZES = {"ct": 4, "pk": 4, "rolls": 3, "pc": 5, "pr": 1, "gal": 1, "lb": 3, "qt": 2, "ft": 8, "in": 6}


@dataclass(frozen=True, slots=True)
class Titled:
    """One product with the truth about it.

    Attributes:
        brand: None for suppliers that do not fill the column.
        true_kind: What the generator had in mind; no reader of titles may see it.
    """

    sku: str
    title: str
    category: str
    brand: str | None
    true_kind: str


def catalog_of(n: int, *, seed: int, brand_column: float = 0.5, typos: float = 0.04) -> list[Titled]:
    """`n` distinct titles.

    Args:
        n: Products, a few thousand at most: the shelves hold 111 kinds.
        seed: Another one gives other brands, varieties and typos.
        brand_column: Share of brands whose supplier fills the column `brand`, 0-1.
        typos: Share of titles with a letter dropped, doubled or swapped, 0-1.
    """
    rng = random.Random(seed)  # noqa: S311 - a catalog, no secret
    brands = {shelf: sorted({_brand(rng) for _ in range(9)}) for shelf in SHELVES}
    tells = {brand: rng.random() < brand_column for names in brands.values() for brand in names}
    pairs = [(shelf, kind) for shelf, kinds in SHELVES.items() for kind in kinds]
    found: dict[str, Titled] = {}
    while len(found) < n:
        shelf, kind = rng.choice(pairs)
        brand = rng.choice(brands[shelf])
        title = _title(rng, brand, kind, *SHELVES[shelf][kind])
        if rng.random() < typos:
            title = _with_typo(rng, title)
        told = brand if tells[brand] else None
        found.setdefault(title, Titled(f"{len(found):06}", title, shelf, told, kind))
    return list(found.values())


def _brand(rng: random.Random) -> str:
    return "".join(rng.sample(_SYLLABLES, rng.choice((2, 3)))).capitalize()


def _size(rng: random.Random, unit: str) -> str:
    number = rng.randint(1, 6) * _SIZES.get(unit, 0) or rng.choice((5.3, 8, 10.7, 12, 16, 24, 32, 64))
    return rng.choice((f"{number} {unit}", f"{number}{unit}", f"{number} {unit.upper()}"))


def _title(rng: random.Random, brand: str, kind: str, varieties: str, unit: str) -> str:
    variety = rng.choice(varieties.split("|"))
    noise = f" {rng.choice(_NOISE)}" if rng.random() < 0.2 else ""
    name = kind if rng.random() > 0.12 else kind.removesuffix("s")
    style = rng.choice(
        ("{b}{n} {v} {k} {s}", "{b} {k}, {v}, {s}", "{b} {v} {k}{n}, {s}", "{b} {k} {v}{n} {s}")
    )
    text = style.format(b=brand, v=variety, k=name, n=noise, s=_size(rng, unit))
    return rng.choice((str.upper, str.title, str.title))(text)


def _with_typo(rng: random.Random, title: str) -> str:
    words = title.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha() and i]
    if not long:
        return title
    at = rng.choice(long)
    word, i = words[at], rng.randrange(1, len(words[at]) - 1)
    swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    words[at] = rng.choice((word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:], swapped))
    return " ".join(words)
