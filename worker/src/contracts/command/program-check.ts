/**
 * A shell script that checks whether the kernel can execute the program `$1`, then becomes the command that follows. A
 * shell, and `execvp` of the C library, run every other file as a script, even a program for another processor. The
 * script compares the ELF header (bytes 18 and 19 name the processor) with that of the shell; a 64-bit x86 or ARM kernel
 * also executes 32-bit programs. If the image has no `od`, the check finds missing programs only. It runs in a
 * subshell, because the names of its variables may be in the function's environment.
 */
const CHECK = `(
refuse() { printf 'sh: %s: %s\n' "$name" "$2" >&2; exit "$1"; }
header() { set -- $(od -A n -v -t x1 -N 20 "$1" 2>/dev/null); echo "\${1-}\${2-}\${3-}\${4-} \${19-}\${20-}"; }
name=$1
file=$(command -v -- "$name") || case $name in
  */*) [ ! -e "$name" ] || refuse 126 'permission denied' ;;
esac
[ -n "$file" ] || refuse 127 'not found'
case $file in */*) ;; *) exit 0 ;; esac
[ -x "$file" ] && [ ! -d "$file" ] || refuse 126 'permission denied'
[ -s "$file" ] || refuse 126 'exec format error (an empty file)'
case $(header "$file") in
  ' ' | 2321*) ;;
  '7f454c46 '*)
    case "$(header "$file") $(header /bin/sh)" in
      *' 0300 '*' 3e00' | *' 2800 '*' b700') ;;
      *) [ "$(header "$file")" = "$(header /bin/sh)" ] ||
        refuse 126 'exec format error (not a program for this processor)' ;;
    esac ;;
  *) refuse 126 'exec format error (neither a program nor a script that names its interpreter)' ;;
esac
) || exit
shift
exec "$@"`;

/** The words before a command that check its program. */
export const checkOfProgram = (name: string): string[] => ['/bin/sh', '-c', CHECK, 'sh', name];
