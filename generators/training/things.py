"""The concrete things that icons-128 can draw: CLDR short names, as PyPI `emoji` spells them."""

THINGS = tuple(
    name.strip()
    for name in """
rat, mouse, ox, water buffalo, cow, tiger, leopard, rabbit, cat, dragon, crocodile, whale, snail,
snake, horse, ram, goat, ewe, monkey, rooster, chicken, dog, pig, boar, elephant, octopus,
spiral shell, bug, ant, honeybee, lady beetle, fish, tropical fish, blowfish, turtle, baby chick,
bird, penguin, koala, poodle, camel, dolphin, frog, hamster, wolf, bear, panda, chipmunk,
crab, lion, scorpion, turkey, unicorn, eagle, duck, bat, shark, owl, fox, butterfly, deer, gorilla,
lizard, rhinoceros, shrimp, squid, giraffe, zebra, hedgehog, sauropod, T-Rex, cricket, kangaroo,
llama, peacock, hippopotamus, parrot, raccoon, lobster, badger, swan, mammoth, dodo, sloth, otter,
skunk, flamingo, oyster, beaver, bison, seal, jellyfish, goose, moose, donkey, coral, spider,
chestnut, seedling, evergreen tree, deciduous tree, palm tree, cactus, hot pepper, tulip,
cherry blossom, rose, hibiscus, sunflower, blossom, ear of corn, four leaf clover, maple leaf,
mushroom, tomato, eggplant, grapes, melon, watermelon, tangerine, lemon, banana, pineapple,
red apple, green apple, pear, peach, cherries, strawberry, hamburger, pizza, meat on bone,
poultry leg, rice ball, steaming bowl, spaghetti, bread, french fries, sushi, fried shrimp,
soft ice cream, ice cream, doughnut, cookie, chocolate bar, candy, lollipop, custard, honey pot,
shortcake, wine glass, cocktail glass, tropical drink, beer mug, baby bottle, popcorn,
birthday cake, croissant, avocado, cucumber, bacon, potato, carrot, baguette bread, egg,
glass of milk, kiwi fruit, pancakes, takeout box, coconut, broccoli, pie, pretzel, sandwich,
canned food, leafy green, mango, bagel, cheese wedge, cupcake, garlic, onion, waffle, butter,
bubble tea, blueberries, bell pepper, olive, teapot, hot beverage, potted plant, lotus, bouquet,
wrapped gift, jack-o-lantern, Christmas tree, balloon, backpack, graduation cap, top hat,
microphone, headphone, artist palette, circus tent, video game, bullseye, game die, saxophone,
guitar, trumpet, violin, drum, accordion, banjo, basketball, soccer ball, baseball, volleyball,
american football, trophy, bow and arrow, crown, glasses, necktie, t-shirt, jeans, dress,
handbag, running shoe, high-heeled shoe, hiking boot, billed cap, gloves, socks, coat,
ghost, robot, alien, teddy bear, lipstick, ring, gem stone, light bulb, bomb, money bag,
laptop, floppy disk, books, green book, package, mobile phone, camera, television, radio,
battery, magnifying glass tilted left, key, locked, bell, fire, wrench, hammer, microscope,
telescope, crystal ball, candle, mantelpiece clock, alarm clock, joystick, paintbrush, pencil,
wastebasket, umbrella, scissors, anchor, magnet, toolbox, luggage, broom, basket, soap,
fire extinguisher, axe, ladder, bucket, chair, couch and lamp, bed, toilet, bathtub, shopping cart,
rocket, helicopter, locomotive, tram, bus, ambulance, fire engine, police car, taxi, automobile,
delivery truck, tractor, ship, sailboat, bicycle, motor scooter, racing car, canoe, flying saucer,
skateboard, airplane, satellite, castle, house, hut, church, tent, snowman, sun, cloud, rainbow,
crescent moon, star, snowflake, volcano, mount fuji, globe showing Americas, ringed planet, moai
""".replace("\n", " ").split(",")
)

_SPOKEN = {
    "magnifying glass tilted left": "magnifying glass",
    "locked": "padlock",
    "lady beetle": "ladybug",
    "globe showing Americas": "globe",
    "ear of corn": "corn",
    "hot beverage": "cup of coffee",
    "wrapped gift": "gift",
    "honeybee": "bee",
    "sauropod": "long-necked dinosaur",
}
_PLURAL: tuple[str, ...] = (
    "cherries",
    "grapes",
    "french fries",
    "pancakes",
    "books",
    "glasses",
    "jeans",
    "gloves",
)
_PLURAL += ("socks", "scissors", "blueberries")
_MASS: tuple[str, ...] = (
    "fire",
    "bread",
    "popcorn",
    "spaghetti",
    "bacon",
    "garlic",
    "butter",
    "soap",
    "coral",
)
_MASS += ("sushi", "candy", "custard", "bubble tea", "leafy green", "broccoli", "mount fuji")


def spoken(name: str) -> str:
    """A thing as a prompt would name it: "a red apple", "scissors", "an owl"."""
    word = _SPOKEN.get(name, name)
    if word in _PLURAL or word in _MASS:
        return word
    if word in ("sun", "rainbow"):
        return f"the {word}" if word == "sun" else "a rainbow"
    return f"{'an' if word[0] in 'aeiou' and not word.startswith(('uni', 'ewe')) else 'a'} {word}"
