"""The words of the sample warehouse: eight tastes, and what their games are called and made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Taste:
    """Words of one group of games that the same people like.

    Attributes
    ----------
    adjectives, nouns
        Make names: ``Gilded Harbour``.
    categories, mechanics
        Tags; a game carries two or three of each.
    openings, actions, endings
        Sentences of descriptions; ``{name}`` is the game's.
    """

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    categories: tuple[str, ...]
    mechanics: tuple[str, ...]
    openings: tuple[str, ...]
    actions: tuple[str, ...]
    endings: tuple[str, ...]


COMMON_SENTENCES = (
    "The rules are explained in ten minutes and the box holds everything needed.",
    "A round takes about a quarter of an hour once everybody knows the game.",
    "The second edition brings new artwork and clearer symbols.",
    "A variant for two players is included.",
    "Winner of several reader awards in its first year.",
    "The rulebook suggests a short introductory game.",
)
"""Said of games of every taste, so that no sentence alone gives a group away."""

TASTES = {
    "fantasy adventure": Taste(
        ("Ashen", "Crimson", "Elven", "Enchanted", "Fallen", "Forgotten", "Runebound", "Shattered"),
        ("Citadel", "Crown", "Dragon", "Dungeon", "Grimoire", "Oracle", "Quest", "Realm"),
        ("Adventure", "Exploration", "Fantasy", "Fighting", "Miniatures"),
        (
            "Campaign / Battle Card Driven",
            "Deck, Bag, and Pool Building",
            "Dice Rolling",
            "Role Playing",
            "Variable Player Powers",
        ),
        (
            "In {name}, a party of heroes descends into a dungeon full of monsters and treasure.",
            "{name} sends wizards, rangers and paladins on a quest against an ancient dragon.",
            "An evil sorcerer has risen, and the heroes of {name} are the last hope of the realm.",
        ),
        (
            "Roll dice to strike goblins and trolls, cast spells and loot enchanted weapons.",
            "Your character gains experience, learns new skills and carries magic items into the next scenario.",
            "Explore the map tile by tile, open chests and disarm traps.",
            "Each hero has unique powers that grow over the campaign.",
        ),
        (
            "Defeat the boss monster before darkness covers the kingdom.",
            "The campaign's story branches with the choices of the heroes.",
        ),
    ),
    "economic strategy": Taste(
        ("Baltic", "Genoese", "Gilded", "Hanseatic", "Imperial", "Industrial", "Merchant", "Venetian"),
        ("Bank", "Brewery", "Exchange", "Guild", "Harbour", "Ledger", "Market", "Vineyard"),
        ("City Building", "Economic", "Farming", "Industry / Manufacturing", "Renaissance"),
        ("Auction / Bidding", "Commodity Speculation", "Income", "Market", "Worker Placement"),
        (
            "{name} makes players merchants who build a trading house in a growing port.",
            "In {name}, factory owners compete for coal, labour and contracts.",
            "Run an estate in {name}: plant, harvest, produce and sell at the right price.",
        ),
        (
            "Place workers to collect wood, grain and stone and turn them into goods.",
            "Bid in auctions for scarce permits while prices on the market rise and fall.",
            "Invest income in buildings that make your engine of production more efficient.",
            "Loans are cheap at first, but interest must be paid every round.",
        ),
        (
            "After six rounds the player with the most money and victory points wins.",
            "Efficient planning and tight resource management decide the game.",
        ),
    ),
    "war and conflict": Taste(
        ("Armoured", "Broken", "Burning", "Desert", "Eastern", "Iron", "Northern", "Winter"),
        ("Advance", "Battalion", "Bridgehead", "Campaign", "Division", "Front", "Offensive", "Siege"),
        ("American Civil War", "Napoleonic", "Wargame", "World War I", "World War II"),
        ("Hexagon Grid", "Ratio / Combat Results Table", "Secret Unit Deployment", "Simulation", "Zone of Control"),
        (
            "{name} is a two-player wargame on a historical campaign at the level of divisions.",
            "In {name}, opposing generals manoeuvre infantry, armour and artillery on a hex map.",
            "{name} simulates the decisive battle of the war, from the first assault to the retreat.",
        ),
        (
            "Units exert zones of control, and supply lines must be kept open.",
            "Combat is resolved on a table of odds with modifiers for terrain and morale.",
            "Reinforcements arrive by the historical order of battle.",
            "Hidden deployment brings the fog of war to the front line.",
        ),
        (
            "Scenarios range from a single day to the whole offensive.",
            "The attacker must take the objective hexes before the last turn.",
        ),
    ),
    "party and words": Taste(
        ("Blurted", "Cheeky", "Giggling", "Hilarious", "Noisy", "Outrageous", "Silly", "Tipsy"),
        ("Answers", "Charades", "Chatter", "Doodles", "Guesses", "Punchlines", "Rumours", "Syllables"),
        ("Humor", "Music", "Party Game", "Trivia", "Word Game"),
        ("Acting", "Communication Limits", "Drawing", "Questions and Answers", "Team-Based Game"),
        (
            "{name} is a party game in which two teams guess words against the timer.",
            "Get the whole room laughing: {name} asks for the funniest answer to a silly question.",
            "In {name}, one player gives clues and everybody shouts guesses.",
        ),
        (
            "Draw, act or hum the word on the card without saying it.",
            "A judge picks the best punchline and awards the point.",
            "Trivia questions get more outrageous with every round.",
            "Swap teams, pass the buzzer and watch the hourglass.",
        ),
        (
            "Perfect for large groups and late evenings.",
            "The team with the most cards guessed wins the night.",
        ),
    ),
    "abstract duel": Taste(
        ("Balanced", "Diagonal", "Eternal", "Hexed", "Mirrored", "Parallel", "Perfect", "Silent"),
        ("Axis", "Circles", "Lattice", "Marbles", "Pattern", "Pebbles", "Stones", "Symmetry"),
        ("Abstract Strategy", "Math", "Maze", "Number", "Puzzle"),
        ("Enclosure", "Grid Movement", "Pattern Building", "Square Grid", "Static Capture"),
        (
            "{name} is an abstract strategy game for two with perfect information and no luck.",
            "On a small square grid, the black and white stones of {name} fight for territory.",
            "In {name}, players place marbles in turn and try to connect opposite edges.",
        ),
        (
            "A stone surrounded on all sides is captured and removed from the board.",
            "Each move shifts a row, so that every pattern can be broken.",
            "Pieces move orthogonally and jump like in the classics.",
            "The board is symmetrical, and the pie rule balances the first move.",
        ),
        (
            "The first player to complete a line of five wins.",
            "Simple rules lead to deep tactics, as in chess and go.",
        ),
    ),
    "cooperative horror": Taste(
        ("Cursed", "Eldritch", "Haunted", "Infected", "Midnight", "Nameless", "Sunken", "Whispering"),
        ("Asylum", "Cellar", "Cult", "Manor", "Nightmare", "Outbreak", "Shadows", "Vigil"),
        ("Deduction", "Horror", "Medical", "Murder / Mystery", "Zombies"),
        ("Cooperative Game", "Hand Management", "Hidden Roles", "Solo / Solitaire Game", "Traitor Game"),
        (
            "In {name}, investigators work together to survive a night in a haunted house.",
            "A plague of the undead spreads, and the team of {name} races to find the cure.",
            "Something ancient stirs beneath the town of {name}, and sanity is running out.",
        ),
        (
            "Players cooperate, share clues and decide whom to trust, for one may be a traitor.",
            "Every turn an event card spreads terror, and zombies break through the doors.",
            "Spend sanity to search the cellar, barricade windows and heal wounds.",
            "The game can be played solo against the rising doom track.",
        ),
        (
            "Everybody wins or loses together before the ritual is complete.",
            "Few will escape, and none will sleep.",
        ),
    ),
    "trains and routes": Taste(
        ("Alpine", "Coastal", "Express", "Grand", "Pacific", "Steam", "Transcontinental", "Trunk"),
        ("Cargo", "Junction", "Locomotive", "Railway", "Rails", "Signal", "Terminus", "Tracks"),
        ("Aviation / Flight", "Nautical", "Trains", "Transportation", "Travel"),
        (
            "Connections",
            "Crayon Rail System",
            "Network and Route Building",
            "Pick-up and Deliver",
            "Stock Holding",
        ),
        (
            "{name} lets players build railway lines between the cities of a continent.",
            "Lay tracks in {name}, buy locomotives and deliver cargo along your own network.",
            "In {name}, investors hold shares of rail companies and steer their routes.",
        ),
        (
            "Collect tickets for long routes and connect the stations before rivals block the pass.",
            "Passengers and freight pay by the distance between departure and terminus.",
            "Upgrade from steam engines to diesel, since old trains rust.",
            "Mountains and rivers make each mile of track more expensive.",
        ),
        (
            "The longest continuous railway earns a bonus at the end.",
            "The richest investor wins when the bank is broken.",
        ),
    ),
    "family and children": Taste(
        ("Bouncing", "Busy", "Fluffy", "Happy", "Hungry", "Little", "Sleepy", "Wobbly"),
        ("Bears", "Bunnies", "Ducklings", "Farmyard", "Hedgehogs", "Kittens", "Monkeys", "Penguins"),
        ("Action / Dexterity", "Animals", "Children's Game", "Educational", "Memory"),
        ("Flicking", "Matching", "Roll / Spin and Move", "Set Collection", "Stacking and Balancing"),
        (
            "{name} is a game for children from four years on, in which animals look for food.",
            "Help the little animals of {name} to find the way home before bedtime.",
            "In {name}, kids stack wooden animals until the tower tumbles.",
        ),
        (
            "Turn over two cards and remember where the matching picture lies.",
            "Spin the colourful wheel and hop along the path to the carrot field.",
            "Flick the wooden disc gently with one finger.",
            "Children learn colours, counting and taking turns.",
        ),
        (
            "The first child to collect four pictures wins.",
            "Parents can play along, and nobody is left out.",
        ),
    ),
}
"""Taste groups by name."""
