<?php
// What every program of the tests answers; see questions.h.
header("Content-Type: text/plain");
parse_str($_SERVER["QUERY_STRING"], $asked);
if (isset($asked["env"])) {
    ksort($_SERVER);
    foreach ($_SERVER as $name => $value) {
        if (is_string($value)) {
            echo "$name=$value\n";
        }
    }
} elseif (isset($asked["echo"])) {
    readfile("php://input");
} elseif (isset($asked["large"])) {
    echo substr(str_repeat("0123456789", intdiv((int)$asked["large"], 10) + 1), 0, (int)$asked["large"]);
} elseif (isset($asked["complain"])) {
    error_log($asked["complain"]);
    echo "complained\n";
} elseif (isset($asked["die"])) {
    echo "half of";
    flush();
    posix_kill(posix_getpid(), 9);
} elseif (isset($asked["upload"])) {
    $file = $_FILES["file"];
    echo "$file[name] $file[size] ", md5_file($file["tmp_name"]), "\n";
} else {
    if (isset($asked["slow"])) {
        sleep(1);
    }
    echo "Hello\n";
}
