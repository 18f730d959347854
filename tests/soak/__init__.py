"""Long and rough use: kills, clients that leave, reloads, while every answer is checked."""
