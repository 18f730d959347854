"""Recipes: functions from options to configuration text, one package per application."""
