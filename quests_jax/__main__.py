"""`python -m quests_jax` is `quests-jax`."""

from quests_jax.cli import main

raise SystemExit(main())
