"""Names for runs that were given none: two words that people can say to each other."""

import secrets

_ADJECTIVES = (
    "amber brave brisk calm clever cosy crisp daring eager early fair fleet gentle glad golden handy happy honest "
    "jolly keen kind light lively loyal lucky merry mighty modest neat noble patient plucky polite proud quick quiet "
    "ready rosy royal shiny silent smart snug steady sunny swift tidy trusty vivid warm wise witty young zesty"
).split()
_ANIMALS = (
    "badger beaver bee bison crane cricket deer dolphin dove eagle egret falcon ferret finch fox gecko goose hare "
    "hawk hedgehog heron ibex jackal jay kestrel kiwi koala lark lemur lion lynx magpie marmot marten mole moose newt "
    "ocelot orca osprey otter owl panda pelican penguin plover puffin quail rabbit raven robin seal sparrow stork "
    "swan swift tapir tern toad trout turtle viper weasel whale wolf wombat wren yak zebra"
).split()


def random_name() -> str:
    """Return a name such as `swift-otter`; names need not be unique."""
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_ANIMALS)}"
