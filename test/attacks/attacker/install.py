import json
import os

import attacks

own = os.getcwd()
with open("attack.json") as file:
    achieved = attacks.run(json.load(file))
# Where the attack took the folder away, there is nowhere to say it.
try:
    with open(os.path.join(own, "achieved.json"), "w") as file:
        json.dump(achieved, file)
except OSError as error:
    print(error)
