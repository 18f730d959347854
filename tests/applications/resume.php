<?php
// A download that can be resumed, in the way of the reference: a part by X-Sendfile2, the whole by X-Sendfile.
$file = $_SERVER["DOCUMENT_ROOT"] . "/download.bin";
$range = $_SERVER["HTTP_RANGE"] ?? "";
if (preg_match('/\Abytes=([0-9]+)-\z/', $range, $found)) {
    $size = filesize($file);
    header("HTTP/1.1 206 Partial content");
    header("Content-Range: bytes $found[1]-" . ($size - 1) . "/$size");
    header("X-Sendfile2: $file $found[1]-");
} else {
    header("X-Sendfile: $file");
}
