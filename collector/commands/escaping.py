"""Strings in double quotes, as YAML and the language of Terraform (HCL) have them."""


def yaml_string(text: str) -> str:
    """The text as a YAML scalar in double quotes (YAML 1.2, 7.3.1)."""
    return f'"{_escape(text)}"'


def hcl_string(text: str) -> str:
    """The text as an HCL string in which nothing is a template (HCL's native syntax, "Template Expressions")."""
    return f'"{_escape(text).replace("${", "$${").replace("%{", "%%{")}"'


def _escape(text: str) -> str:
    """Escapes that both languages have: of quotes, of backslashes, and by code point of all but printable ASCII."""
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character in {'"', "\\"}:
        return "\\" + character
    if " " <= character <= "~":
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - four hexadecimal digits
