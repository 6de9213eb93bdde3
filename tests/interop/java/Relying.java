import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A relying party: validates chains with the status of every certificate asked by OCSP.
 *
 * <p>Arguments: the responder's address, then for each chain the files of root, sub-CA 1, sub-CA 2
 * and leaf. Prints one line a chain: VALID, or the reason and what is behind it.
 */
public final class Relying {
  private static final int CHAIN = 4;

  private Relying() {}

  public static void main(String[] arguments) throws Exception {
    URI responder = URI.create(arguments[0]);
    for (int at = 1; at < arguments.length; at += CHAIN) {
      System.out.println(judged(responder, arguments, at));
    }
  }

  private static String judged(URI responder, String[] files, int at) throws Exception {
    CertPathValidator validator = CertPathValidator.getInstance("PKIX");
    PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
    checker.setOcspResponder(responder);
    checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK));
    PKIXParameters parameters =
        new PKIXParameters(Set.of(new TrustAnchor(read(files[at]), null)));
    parameters.addCertPathChecker(checker);
    try {
      validator.validate(chain(files, at), parameters);
      return "VALID";
    } catch (CertPathValidatorException refused) {
      return refused.getReason() + " " + cause(refused) + " at " + refused.getIndex();
    }
  }

  private static String cause(CertPathValidatorException refused) {
    if (refused.getCause() instanceof CertificateRevokedException) {
      return ((CertificateRevokedException) refused.getCause()).getRevocationReason().toString();
    }
    return refused.getMessage();
  }

  private static CertPath chain(String[] files, int root) throws Exception {
    List<X509Certificate> path = new ArrayList<>();
    for (int at = root + CHAIN - 1; at > root; at--) {
      path.add(read(files[at]));
    }
    return CertificateFactory.getInstance("X.509").generateCertPath(path);
  }

  private static X509Certificate read(String file) throws Exception {
    try (InputStream in = Files.newInputStream(Path.of(file))) {
      return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
  }
}
