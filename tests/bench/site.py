"""The pages that every peer serves: a small file, PHP's shortest answer, a PHP page that does some work."""

from __future__ import annotations

import random
from pathlib import Path

_HELLO = '<?php echo "Hello World";\n'
# A table as an application makes one: about a millisecond and 30 kB.
_TABLE = """<?php
$rows = [];
for ($number = 0; $number < 400; $number++) {
    $rows[] = ['number' => $number, 'key' => md5((string) $number), 'value' => sin($number)];
}
usort($rows, fn ($one, $other) => strcmp($one['key'], $other['key']));
header('Content-Type: text/html; charset=utf-8');
echo '<html><body><table>';
foreach ($rows as $row) {
    printf("<tr><td>%d</td><td>%s</td>", $row['number'], htmlspecialchars($row['key']));
    printf("<td>%.6f</td></tr>\\n", $row['value']);
}
echo '</table></body></html>';
"""


def write(root: Path) -> None:
    """Make the document root."""
    root.mkdir()
    letters = random.Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=1024)
    (root / "small.html").write_text("".join(letters))
    (root / "hello.php").write_text(_HELLO)
    (root / "table.php").write_text(_TABLE)
