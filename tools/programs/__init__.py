"""What profile-test is made of: real programs in images, and what each of them has to be able to do.

catalogue   the programs: their packages, how they run, what they may ask for by name
acceptance  one script a program, which ends with 0 only when real work was done
debian      packages and what they depend on, from the mirror that this machine is configured for
images      layers made of packages, and archives that any container manager loads
library     the images of the programs
runs        containers of a program, and of the hostile program in its image
attacks     what the hostile program tries
profiles    profiles, as the command line shows them
trials      what is tried with each program
report      tables and JSON
"""
