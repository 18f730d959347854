"""Programs of other people behind our gateway, each with the configuration of docs/programs.md."""
