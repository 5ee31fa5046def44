"""The presets: TOML files, found by [`gsmflow.recipes.recipe`][gsmflow.recipes.recipe]."""
