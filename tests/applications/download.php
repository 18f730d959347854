<?php
// A download that clients can resume, as mod_fastcgi's documentation shows it.
$file = __DIR__ . "/file";
$range = $_SERVER["HTTP_RANGE"] ?? "";
if (preg_match('/\Abytes=([0-9]+)-\z/', $range, $found)) {
    $start = $found[1];
    $length = filesize($file);
    $end = $length - 1;
    header("Content-Range: bytes $start-$end/$length");
    header("HTTP/1.1 206 Partial content");
    header("X-Sendfile2: $file $start-");
} else {
    header("X-Sendfile: $file");
}
