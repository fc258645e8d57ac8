#include "mount/command_line.h"

namespace tarn::mount {
namespace {

Error Wrong(const std::string& why) {
  return Error(Code::kInvalid, why);
}

// A word of letters such as "-fnv"; `value` is what follows it, which -o and -t take. Returns
// whether it was taken.
Result<bool> TakeLetters(const std::string& word, const std::string* value, CommandLine& line) {
  for (size_t i = 1; i < word.size(); ++i) {
    switch (char letter = word[i]) {
      case 'f':
        line.fake = true;
        break;
      case 's':
        line.sloppy = true;
        break;
      case 'v':
        line.verbose = true;
        break;
      case 'n':  // there is no mtab to leave alone
        break;
      case 'r':
        line.options.emplace_back("ro");
        break;
      case 'w':
        line.options.emplace_back("rw");
        break;
      case 'o':
      case 't': {  // the type's name says nothing new
        bool joined = i + 1 < word.size();
        if (!joined && value == nullptr) return Wrong(std::string("-") + letter + " needs a value");
        if (letter == 'o') line.options.push_back(joined ? word.substr(i + 1) : *value);
        return !joined;
      }
      default:
        return Wrong(std::string("unknown option -") + letter);
    }
  }
  return false;
}

}  // namespace

Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  using What = CommandLine::What;
  CommandLine line;
  std::vector<std::string> names;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const std::string* value = i + 1 < arguments.size() ? &arguments[i + 1] : nullptr;
    if (word == "--version" || word == "-V") {
      line.what = What::kVersion;
      return line;
    }
    if (word == "--help" || word == "-h") {
      line.what = What::kHelp;
      return line;
    }
    if (word == "--watch") {
      line.what = What::kWatch;
    } else if (word == "--config" && value != nullptr) {
      line.config_file = *value;
      ++i;
    } else if (word.size() > 1 && word[0] == '-') {
      if (word[1] == '-') return Wrong("unknown option " + word);
      TRY(bool taken, TakeLetters(word, value, line));
      if (taken) ++i;
    } else {
      names.push_back(word);
    }
  }
  if (line.what == What::kWatch) {
    if (names.empty()) return line;
    return Wrong("--watch takes no file system");
  }
  if (names.size() != 2) return Wrong("a file system and a mount point are due");
  line.device = names[0];
  line.mount_point = names[1];
  return line;
}

std::string UsageOf(const std::string& program) {
  return "Usage: " + program +
         " [--version] [-h|--help] <fsname> <mountpoint> [-fnsvrw] [-o <options>]\n"
         "  <fsname>   fs-...[:/path], or the file system's DNS name\n"
         "  <options>  tls,iam,accesspoint=fsap-...,jwtpath=FILE,awsprofile=NAME,region=NAME,\n"
         "             az=NAME,mounttargetip=ADDRESS,cafile=FILE,config=FILE, and those of NFS\n";
}

}  // namespace tarn::mount
